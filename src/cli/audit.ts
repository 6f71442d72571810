import type { Command } from 'commander'
import { parseDigest } from '../oci/digest.ts'
import { parseRepositoryName, parseTag, splitRepositoryName } from '../oci/names.ts'
import { boundOf } from '../ports/bound.ts'
import { comparePositions } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { repositoryKey } from '../ports/streams.ts'
import { AUDIT_CODES } from '../projections/audit.ts'
import { named } from '../projections/audit-documents.ts'
import { auditPage, projectId, projectNames, pullsOfLog } from '../projections/audit-queries.ts'
import type { AuditCursor, AuditEntry, AuditFilter } from '../projections/audit-queries.ts'
import { catalogueGroup, isVersionGone, trailGroup } from '../projections/read-models.ts'
import { csvPrinter, jsonPrinter, tablePrinter } from './audit-printers.ts'
import { caughtUp } from './caught-up.ts'
import type { Opened, WithRegistry } from './opened.ts'
import { outputGone, print } from './output.ts'
import { misused } from './usage.ts'

const PAGE = 1_000
const TABLE_LIMIT = 1_000

type Options = {
  readonly actor?: string
  readonly action?: string
  readonly repository?: string
  readonly tag?: string
  readonly digest?: string
  readonly since?: string
  readonly until?: string
  readonly limit?: string
  readonly blobs?: boolean
  readonly csv?: boolean
  readonly json?: boolean
}

export function auditCommand(program: Command, withRegistry: WithRegistry): void {
  program
    .command('audit')
    .description('say who pushed, pulled or deleted what, and when, in the order in which it happened')
    .option('--actor <name or id>', 'only what this user did')
    .option('--action <code>', `only this: ${AUDIT_CODES.join(', ')}`)
    .option('--repository <project/path>', 'only what happened to this repository')
    .option('--tag <tag>', 'only what named this tag')
    .option('--digest <digest>', 'only what named this digest')
    .option('--since <time or position>', 'from then on: RFC 3339, such as 2026-11-01T12:00:00Z, or a position')
    .option('--until <time or position>', 'up to then, included')
    .option('--limit <count>', `at most so many entries (a table: ${TABLE_LIMIT} unless said; else all)`)
    .option('--blobs', 'pulls of blobs too: they are read from the log itself, which may take long')
    .option('--csv', 'as CSV (RFC 4180)')
    .option('--json', 'as JSON, a line an entry')
    .action(withRegistry(printTrail))
}

async function printTrail(opened: Opened, options: Options): Promise<number> {
  const { log } = opened
  const limit = limitOf(options)
  if (options.csv === true && options.json === true) misused('--csv and --json exclude each other')
  const printer = options.json === true ? jsonPrinter() : options.csv === true ? csvPrinter() : tablePrinter(process.stdout.columns)
  const end = await log.head()
  const filter = await filterOf(opened, options, end)
  let page: AuditEntry[] = []
  let printed = 0
  const namesOf = nameReader(opened, end)
  const flush = async (): Promise<void> => {
    await print(printer.lines(await named(page, namesOf)))
    page = []
  }
  await print(printer.head)
  if (end !== undefined) {
    for await (const entry of entries(opened, filter, end, options.blobs === true)) {
      if (outputGone()) return 0
      if (printed === limit) {
        await flush()
        process.stderr.write(`varve: there is more than ${limit} entries: raise --limit, or look from --since ${entry.position} on\n`)
        return 0
      }
      page.push(entry)
      printed += 1
      if (page.length === PAGE) await flush()
    }
  }
  await flush()
  return 0
}

/** The trail up to `end`, as it is in the read models, with the pulls of the log merged in where blobs are asked for. */
async function* entries(opened: Opened, filter: AuditFilter, end: Position, blobs: boolean): AsyncGenerator<AuditEntry> {
  const trail = trailEntries(opened, filter, end, !blobs)
  if (blobs) yield* merged(trail, pullsOfLog(opened.log, opened.reads.openPrivate, filter, end))
  else yield* trail
}

async function* trailEntries(opened: Opened, filter: AuditFilter, end: Position, pulls: boolean): AsyncGenerator<AuditEntry> {
  let schema = await caughtUp(opened, trailGroup, end)
  let after: AuditCursor | undefined
  for (;;) {
    let page: AuditEntry[]
    try {
      page = await auditPage(opened.pool, schema, filter, { after, end, limit: PAGE, pulls })
    } catch (error) {
      if (!isVersionGone(error)) throw error
      schema = await caughtUp(opened, trailGroup, end)
      continue
    }
    yield* page
    after = page.at(-1)
    if (page.length < PAGE) return
  }
}

async function* merged(first: AsyncGenerator<AuditEntry>, second: AsyncGenerator<AuditEntry>): AsyncGenerator<AuditEntry> {
  let [a, b] = [await first.next(), await second.next()]
  while (a.done !== true || b.done !== true) {
    if (b.done === true || (a.done !== true && comparePositions(a.value.position, b.value.position) <= 0)) {
      if (a.done !== true) yield a.value
      a = await first.next()
    } else {
      yield b.value
      b = await second.next()
    }
  }
}

/** The names of projects by their ids, each looked up once, as they are at `end`. */
function nameReader(opened: Opened, end: Position | undefined): (ids: readonly string[]) => Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  return async (ids) => {
    const unknown = ids.filter((id) => !names.has(id))
    if (end === undefined || unknown.length === 0) return names
    for (const [id, name] of await projectNames(opened.pool, await caughtUp(opened, catalogueGroup, end), unknown)) names.set(id, name)
    return names
  }
}

function limitOf({ limit, csv, json }: Options): number {
  if (limit === undefined) return csv === true || json === true ? Infinity : TABLE_LIMIT
  if (!/^[1-9]\d{0,14}$/.test(limit)) misused(`--limit is a whole number from 1 on, not ${limit}`)
  return Number(limit)
}

async function filterOf(opened: Opened, options: Options, end: Position | undefined): Promise<AuditFilter> {
  const { actor, action, repository, tag, digest, since, until } = options
  if (actor === '') misused('--actor is a name or an id')
  if (action !== undefined && !AUDIT_CODES.includes(action)) misused(`--action is one of ${AUDIT_CODES.join(', ')}, not ${action}`)
  return {
    ...(actor === undefined ? {} : { actor }),
    ...(action === undefined ? {} : { action }),
    ...(tag === undefined ? {} : { tag: parseTag(tag) ?? misused(`--tag: ${tag} is no tag`) }),
    ...(digest === undefined ? {} : { digest: parseDigest(digest) ?? misused(`--digest: ${digest} is no digest, such as sha256:<64 lower-case hex digits>`) }),
    ...(since === undefined ? {} : { since: await bound(opened, '--since', since) }),
    ...(until === undefined ? {} : { until: await bound(opened, '--until', until) }),
    ...(repository === undefined ? {} : { repository: await repositoryOf(opened, repository, end) }),
  }
}

async function repositoryOf(opened: Opened, text: string, end: Position | undefined) {
  const name = parseRepositoryName(text) ?? misused(`--repository: ${text} is no repository's name, such as team/app`)
  const { project, path } = splitRepositoryName(name)
  const id = end === undefined ? undefined : await projectId(opened.pool, await caughtUp(opened, catalogueGroup, end), project)
  return repositoryKey(id ?? misused(`--repository: there is no project ${project}`), path)
}

async function bound({ log }: Opened, option: string, text: string): Promise<Position | Date> {
  const found = await boundOf(log, text)
  return 'refused' in found ? misused(`${option}: ${found.reason}`) : found.at
}
