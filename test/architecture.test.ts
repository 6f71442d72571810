import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '..')
const src = join(root, 'src')

type Import = { readonly from: string; readonly to: string; readonly typeOnly: boolean }

/** A folder of src, or a file that stands in it alone (main.ts, config.ts, logger.ts). */
const partOf = (path: string): string => path.split('/')[0] ?? ''

type Rule = (to: string, typeOnly: boolean) => boolean
const parts = (...names: readonly string[]): Rule => (to) => names.includes(partOf(to))

/** What each part may import beside itself; design.md, "Folders". Whatever stands in none of these may be imported by nobody. */
const RULES: Readonly<Record<string, Rule>> = {
  oci: () => false,
  ports: parts('oci'),
  commands: parts('ports', 'oci'),
  projections: (to, typeOnly) => parts('ports', 'oci')(to, typeOnly) || /^commands\/[^/]+\/events\.ts$/.test(to) || (partOf(to) === 'commands' && typeOnly),
  storage: parts('ports', 'oci'),
  outbound: parts('ports', 'oci'),
  identity: parts('outbound', 'ports', 'oci'),
  api: parts('commands', 'identity', 'outbound', 'projections', 'ports', 'oci'),
  cli: parts('commands', 'identity', 'projections', 'ports', 'oci', 'config.ts', 'logger.ts'),
  wiring: () => true,
  'main.ts': () => true,
  'config.ts': () => false,
  'logger.ts': () => false,
}

/** What breaks a rule today. None may be added; one that was mended goes from here. */
const KNOWN: readonly string[] = ['api/server.ts -> config.ts (types)', 'logger.ts -> config.ts (types)']

const filesIn = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const files = filesIn(src)
const textOf = (file: string): string => readFileSync(join(src, file), 'utf8')

/** Of a file of `folder`, by its name there. */
function importsOf(folder: string, file: string): Import[] {
  const text = readFileSync(join(folder, file), 'utf8')
  const found = [...text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm), ...text.matchAll(/()\bimport\(\s*'([^']+)'/g)]
  return found.flatMap(([, type, path = '']) =>
    path.startsWith('.') ? [{ from: file, to: normalize(join(dirname(file), path)), typeOnly: type !== undefined && type !== '' }] : [],
  )
}

const imports = files.flatMap((file) => importsOf(src, file))

describe('imports', () => {
  it('are found', () => {
    expect(imports.length).toBeGreaterThan(200)
    expect(imports).toContainEqual({ from: 'wiring/open.ts', to: 'storage/blobs/file.ts', typeOnly: false })
    expect(imports).toContainEqual({ from: 'projections/facts.ts', to: 'commands/repository/events.ts', typeOnly: true })
    // A file that is not there would stand for a path that was read wrongly.
    expect(imports.filter(({ to }) => !files.includes(to))).toEqual([])
  })

  it('point one way', () => {
    const broken = imports
      .filter(({ from, to, typeOnly }) => partOf(from) !== partOf(to) && !(RULES[partOf(from)]?.(to, typeOnly) ?? false))
      .map(({ from, to, typeOnly }) => `${from} -> ${to}${typeOnly ? ' (types)' : ''}`)
    expect(broken.sort()).toEqual([...KNOWN].sort())
  })

  it('of packages are none in the leaf but what reads schemas', () => {
    const packages = files.filter((file) => partOf(file) === 'oci').flatMap((file) => [...textOf(file).matchAll(/from '([^.][^']*)'/g)].map(([, name]) => name))
    expect([...new Set(packages)].sort()).toEqual(['@sinclair/typebox', 'ajv', 'node:crypto'])
  })

  it('make no circle', () => {
    expect(circlesAmong(imports)).toEqual([])
  })
})

function circlesAmong(all: readonly Import[]): string[] {
  const after = Map.groupBy(all.filter(({ typeOnly }) => !typeOnly), ({ from }) => from)
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
    if (done.has(file) || path.includes(file)) return
    for (const { to } of after.get(file) ?? []) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of after.keys()) visit(file, [])
  return circles
}

describe('the benchmarks', () => {
  const bench = join(root, 'bench')
  const theirs = filesIn(bench).flatMap((file) => importsOf(bench, file))

  it('are clients of the registry: nothing that answers requests runs in their process', () => {
    expect(theirs.length).toBeGreaterThan(20)
    const outside = theirs.map(({ to }) => to).filter((to) => to.startsWith('../'))
    const allowed = /^\.\.\/(src\/(oci|ports|commands|projections|storage)\/|test\/support\/|package\.json$)/
    expect(outside.filter((to) => !allowed.test(to))).toEqual([])
  })

  it('import in no circle', () => {
    expect(circlesAmong(theirs)).toEqual([])
  })
})

describe('the environment', () => {
  it('is handed over by main.ts and read by config.ts', () => {
    const readers = files.filter((file) => /process\s*\.\s*env\b|process\[['"]env|\benv\b[^\n]*from 'node:process'/.test(textOf(file)))
    // main.ts hands it to loadConfig, once, and looks at nothing in it.
    expect(readers).toEqual(['main.ts'])
    expect(textOf('main.ts').match(/process\.env\b.*/g)).toEqual(['process.env),'])
    expect(textOf('main.ts')).toContain('loadConfig(process.env)')
  })
})

describe('every file', () => {
  it('stands in a part that has a rule', () => {
    expect([...new Set(files.map(partOf))].filter((part) => RULES[part] === undefined)).toEqual([])
    expect(relative(src, join(src, files[0] ?? ''))).toBe(files[0])
  })
})
