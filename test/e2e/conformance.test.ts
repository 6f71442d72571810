import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { makeUser } from '../support/asking.ts'
import { PASSWORD } from '../support/doors.ts'
import { startStandIn } from '../support/eventstoredb.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { run, tool } from './tools.ts'

/*
 * The OCI's own conformance tests, whole: no filter, nothing switched off, and Varve as it is without any setting.
 */

jest.setTimeout(180_000)

type Report = {
  readonly tests: number
  /** What the specification leaves open, and Varve does not do. */
  readonly skipped: readonly string[]
  /** Name, and what was expected. */
  readonly failed: readonly string[]
  readonly disabled: readonly string[]
  /** What the specification's version leaves out: parts of the API, and kinds of data. */
  readonly disabledParts: readonly string[]
}

const program = tool('conformance')

const LOGS = [
  { log: 'Postgres', env: () => Promise.resolve({}) },
  { log: 'EventStoreDB', env: async () => ({ VARVE_LOG: (await startStandIn()).url }) },
] as const

;(program === undefined ? describe.skip : describe).each(LOGS)('OCI conformance, with the log in $log', ({ env: envOf }) => {
  let folder: string
  let server: VarveServer

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-conformance-'))
    server = await startVarve({ env: await envOf() })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const conform = async (name: string, env: Readonly<Record<string, string>>): Promise<Report> => {
    const results = join(folder, name)
    const settings = {
      OCI_REGISTRY: server.host,
      OCI_TLS: 'disabled',
      OCI_USERNAME: server.user,
      OCI_PASSWORD: server.password,
      OCI_REPO1: `conformance-${name}/one`,
      OCI_REPO2: `conformance-${name}/two`,
      OCI_RESULTS_DIR: results,
      OCI_LOG: 'error',
      ...env,
    }
    // It ends with 1 when a test failed; which, its report tells.
    const failure = await run(program ?? '', [], { cwd: folder, env: settings, timeoutMs: 150_000 }).then(
      () => undefined,
      (error: unknown) => error,
    )
    const [junit, yaml] = await Promise.all(['junit.xml', 'results.yaml'].map((file) => readFile(join(results, file), 'utf8'))).catch((cause: unknown) => {
      throw failure ?? cause
    })
    return readReport(junit ?? '', yaml ?? '')
  }

  test('of the version in force (1.1), nothing fails and nothing is skipped', async () => {
    const { tests, ...report } = await conform('stable', { OCI_VERSION: 'stable' })
    expect(report).toEqual({
      skipped: [],
      failed: [],
      disabled: ['sha256', 'sha512'].map((algorithm) => `OCI Conformance Test/${algorithm} blobs/post cancel/blob-post-cancel`),
      // Version 1.1 knows neither; sparse manifests are off in the program's own defaults for every version.
      disabledParts: ['Blob upload cancel', 'Manifest put with tag params', 'Sparse Manifests', 'Tag Param', 'Tag Param sha512'],
    })
    expect(tests).toBeGreaterThanOrEqual(850)
  })

  test('of the version in force, by a user who is no administrator, in a project of theirs', async () => {
    const dev = await makeUser(server, 'dev')
    await dev.make('/projects', { project_name: 'conformance-user' })
    const { tests, failed, skipped } = await conform('user', { OCI_VERSION: 'stable', OCI_USERNAME: 'dev', OCI_PASSWORD: PASSWORD })
    expect({ failed, skipped }).toEqual({ failed: [], skipped: [] })
    expect(tests).toBeGreaterThanOrEqual(850)
  })

  test('of the version in the making, with sparse manifests, nothing fails, is skipped or left out', async () => {
    const { tests, ...report } = await conform('dev', { OCI_VERSION: 'dev', OCI_DATA_SPARSE: 'true' })
    expect(report).toEqual({ skipped: [], failed: [], disabled: [], disabledParts: [] })
    expect(tests).toBeGreaterThanOrEqual(980)
  })
})

/** From its JUnit report the counts and the single tests, from its own the parts that were disabled. */
function readReport(junit: string, yaml: string): Report {
  const suites = /<testsuites ([^>]*)>/.exec(junit)?.[1]
  if (suites === undefined) throw new Error('junit.xml holds no <testsuites>')
  const count = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suites)?.[1] ?? 0)

  const cases = [...junit.matchAll(/<testcase name="([^"]*)"[^>]* status="([^"]*)"[^>]*>(.*?)<\/testcase>/gs)].map(([, name = '', status = '', inner = '']) => {
    const said = (element: string): string => plain(new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(inner)?.[1] ?? '')
    return { name: plain(name), status, errors: said('system-out'), log: said('system-err') }
  })
  const failed = cases.filter(({ status }) => status === 'failure' || status === 'error').map(({ name, errors }) => `${name}: ${errors}`)
  // JUnit has one word for both: what was disabled says so.
  const disabled = cases.filter(({ status, log }) => status === 'skipped' && log.includes('is disabled in the configuration')).map(({ name }) => name)
  const skipped = cases.filter(({ name, status }) => status === 'skipped' && !disabled.includes(name)).map(({ name }) => name)

  const counts = { failed: count('failures') + count('errors'), disabled: count('disabled') }
  // A test that failed as a whole, beside those that it consists of, is counted without a line of its own.
  const unnamed = counts.failed > failed.length ? [`${counts.failed - failed.length} more`] : []
  if (counts.disabled !== disabled.length) throw new Error(`${counts.disabled} tests were disabled, but ${disabled.length} say so`)

  return {
    tests: count('tests'),
    skipped,
    failed: [...failed, ...unnamed],
    disabled,
    disabledParts: [...yaml.matchAll(/^ {2}(.+): Disabled$/gm)].map(([, part = '']) => part).sort(),
  }
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
/** The text that an XML text stands for. */
const plain = (xml: string): string =>
  xml.replaceAll(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (_, decimal?: string, hex?: string, name?: string) =>
    name === undefined ? String.fromCodePoint(decimal === undefined ? Number.parseInt(hex ?? '0', 16) : Number(decimal)) : (entities[name] ?? ''),
  )
