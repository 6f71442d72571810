import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const src = join(import.meta.dirname, '../src')

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
  api: parts('commands', 'projections', 'ports', 'oci'),
  cli: parts('projections', 'ports', 'oci', 'config.ts', 'logger.ts'),
  'main.ts': () => true,
  'config.ts': () => false,
  'logger.ts': () => false,
}

/** What breaks a rule today. None may be added; one that was mended goes from here. */
const KNOWN: readonly string[] = ['api/server.ts -> config.ts (types)', 'logger.ts -> config.ts (types)']

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const textOf = (file: string): string => readFileSync(join(src, file), 'utf8')

function importsOf(file: string): Import[] {
  const found = [...textOf(file).matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm), ...textOf(file).matchAll(/()\bimport\(\s*'([^']+)'/g)]
  return found.flatMap(([, type, path = '']) =>
    path.startsWith('.') ? [{ from: file, to: normalize(join(dirname(file), path)), typeOnly: type !== undefined && type !== '' }] : [],
  )
}

const imports = files.flatMap(importsOf)

describe('imports', () => {
  it('are found', () => {
    expect(imports.length).toBeGreaterThan(200)
    expect(imports).toContainEqual({ from: 'main.ts', to: 'storage/blobs/file.ts', typeOnly: false })
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
    const after = new Map(files.map((file) => [file, imports.filter(({ from, typeOnly }) => from === file && !typeOnly).map(({ to }) => to)]))
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
      if (done.has(file) || path.includes(file)) return
      for (const next of after.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
    expect(circles).toEqual([])
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
