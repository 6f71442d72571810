import type { Command } from 'commander'
import { soughtFor } from '../commands/access/grants.ts'
import { ACTIONS } from '../commands/access/rights.ts'
import type { Action } from '../commands/access/rights.ts'
import { SETTINGS } from '../commands/settings/known.ts'
import { parseRepositoryName, splitRepositoryName } from '../oci/names.ts'
import type { RepositoryName } from '../oci/names.ts'
import { boundOf } from '../ports/bound.ts'
import { reachDocument, whoDocument } from '../projections/access-documents.ts'
import type { AnswerHead } from '../projections/access-documents.ts'
import { accessQueries, momentOf, subjectNamed } from '../projections/access-queries.ts'
import type { AccessQueries, CouldHave, Found, GrantFound, Moment, Reached, SubjectThen } from '../projections/access-queries.ts'
import { identityQueries } from '../projections/identity-queries.ts'
import { catalogueGroup } from '../projections/read-models.ts'
import { createRows } from '../projections/versioned-queries.ts'
import type { Rows } from '../projections/versioned-queries.ts'
import { caughtUp } from './caught-up.ts'
import type { Opened, WithRegistry } from './opened.ts'
import { outputGone, print } from './output.ts'
import { printable, tableLine, widthsOf } from './table.ts'
import { misused } from './usage.ts'

const PAGE = 500

type Options = { readonly repository?: string; readonly action?: string; readonly user?: string; readonly robot?: string; readonly at?: string; readonly json?: boolean }

export function accessCommand(program: Command, withRegistry: WithRegistry): void {
  program
    .command('access')
    .description('say who could pull, push or delete at a time, by which grant and since when; or what somebody could reach')
    .option('--repository <project/path>', 'who could, in this repository')
    .option('--action <action>', `what: ${ACTIONS.join(', ')} (with --user or --robot alone: all of them unless said)`)
    .option('--user <name or id>', 'what this user could reach; with --repository, whether they could')
    .option('--robot <name or id>', 'the same of a robot')
    .option('--at <time or position>', 'then: RFC 3339, such as 2026-11-01T12:00:00Z, or a position (now unless said)')
    .option('--json', "as JSON, a line a page, as the API's answers are")
    .action(withRegistry(answer))
}

async function answer(opened: Opened, options: Options): Promise<number> {
  const { repository, action, user, robot, at, json } = options
  if (repository === undefined && user === undefined && robot === undefined) misused('name a --repository, a --user or a --robot')
  if (user !== undefined && robot !== undefined) misused('--user and --robot exclude each other')
  if (repository !== undefined && action === undefined) misused(`--repository needs an --action: ${ACTIONS.join(', ')}`)
  const name = repository === undefined ? undefined : repositoryOf(repository)
  const bound = at === undefined ? { at } : await boundOf(opened.log, at)
  if ('refused' in bound) misused(`--at: ${bound.reason}`)
  const actions = action === undefined ? ACTIONS : [actionOf(action)]

  const head = (await opened.log.head()) ?? misused('the log is empty')
  const schema = await caughtUp(opened, catalogueGroup, head)
  const rows = createRows(opened.pool, () => schema)
  const queries = accessQueries(rows)
  const moment = await momentOf(opened.log, queries, bound.at, head, new Date())
  if ('refused' in moment) misused(`--at: ${moment.reason}`)
  const show = json === true ? printJson : printTable
  const subject = user === undefined && robot === undefined ? undefined : await subjectThen(rows, queries, options, moment)
  const rolesVersion = await queries.rolesVersion(moment)
  const sought = soughtFor(actions, rolesVersion)
  const answered = (next: string | undefined): AnswerHead => ({ moment, rolesVersion, next })

  if (name !== undefined) {
    const project = await projectThen(queries, name, moment)
    const [only = 'pull'] = actions
    await pages<CouldHave>(
      (after) => queries.whoCould(project.id, sought, moment, { after, limit: PAGE, only: subject }),
      (found, isFirst) => show(whoDocument(answered(undefined), { repository: name, project, action: only }, found), isFirst, whoRows(found)),
    )
  } else if (subject !== undefined) {
    await pages<Reached>(
      (after) => queries.couldReach(subject, sought, moment, { after: after?.name, limit: PAGE }),
      (found, isFirst) => show(reachDocument(answered(undefined), subject, found), isFirst, reachRows(found)),
    )
  }
  return 0
}

function repositoryOf(text: string): RepositoryName {
  return parseRepositoryName(text) ?? misused(`--repository: ${text} is no repository's name, such as team/app`)
}

function actionOf(text: string): Action {
  return ACTIONS.find((each) => each === text) ?? misused(`--action is one of ${ACTIONS.join(', ')}, not ${text}`)
}

async function projectThen(queries: AccessQueries, repository: RepositoryName, moment: Moment): Promise<{ readonly id: string; readonly name: string }> {
  const { project: name } = splitRepositoryName(repository)
  return { id: (await queries.projectThen(name, moment)) ?? misused(`--repository: there was no project ${name} then`), name }
}

async function subjectThen(rows: Rows, queries: AccessQueries, options: Options, moment: Moment): Promise<SubjectThen> {
  const { user, robot } = options
  const found = await subjectNamed(queries, await robotPrefix(rows), options, moment)
  if (found === 'ambiguous') misused(`--user: two users of then have had the name ${user}: ask by id`)
  if (found === 'unknown') misused(user === undefined ? `--robot: there was no robot ${robot} then` : `--user: there was no user ${user} then`)
  return found
}

async function robotPrefix(rows: Rows): Promise<string> {
  const set = (await identityQueries(rows).settings()).get('robot_name_prefix')
  return set !== undefined && 'value' in set ? String(set.value) : SETTINGS.robot_name_prefix
}

/** Reads page after page and prints each; the first also where it is empty. */
async function pages<T>(read: (after: T | undefined) => Promise<Found<T>>, show: (found: readonly T[], isFirst: boolean) => Promise<void>): Promise<void> {
  let after: T | undefined
  for (let more = true; more && !outputGone(); ) {
    const page = await read(after)
    await show(page.found, after === undefined)
    after = page.found.at(-1)
    more = page.more
  }
}

type Document = { readonly position: string; readonly time: string; readonly rolesVersion: number | null }
type Cells = readonly (readonly string[])[]

async function printJson(document: Document): Promise<void> {
  await print(`${JSON.stringify(document)}\n`)
}

async function printTable({ position, time, rolesVersion }: Document, isFirst: boolean, [titles = [], ...rows]: Cells): Promise<void> {
  if (isFirst) await print(`as of ${position} (${time}), by version ${rolesVersion ?? 1} of the table of roles\n`)
  const cells = rows.map((row) => row.map(printable))
  const widths = widthsOf(titles, cells, process.stdout.columns)
  await print([...(isFirst ? [titles] : []), ...cells].map((row) => tableLine(row, widths)).join(''))
}

function whoRows(found: readonly CouldHave[]): Cells {
  const rows = found.flatMap((each) => each.grants.map((grant) => [nameOf(each), each.kind, wordsOf(grant), ...sinceOf(grant)]))
  return [['WHO', 'KIND', 'BY', 'SINCE', 'GIVEN BY', 'POSITION'], ...rows]
}

function reachRows(found: readonly Reached[]): Cells {
  const rows = found.flatMap(({ name, grants }) => grants.map((grant) => [name, grant.actions.join(' '), wordsOf(grant), ...sinceOf(grant)]))
  return [['PROJECT', 'COULD', 'BY', 'SINCE', 'GIVEN BY', 'POSITION'], ...rows]
}

function nameOf({ kind, id, name, project }: CouldHave): string {
  if (kind === 'anybody') return 'anybody'
  if (kind === 'group') return `any member of ${name ?? id}`
  return project === undefined ? (name ?? id) : `${project}+${name ?? id}`
}

function wordsOf({ grant, group, expiresAt }: GrantFound): string {
  switch (grant.by) {
    case 'visibility':
      return `${grant.visibility} project`
    case 'administrator':
    case 'auditor':
      return grant.by
    case 'member':
      return grant.role
    case 'group':
      return `${grant.role} through ${group?.name ?? grant.group}`
    case 'permission':
      return `permission${grant.permission.kind === 'project' && grant.permission.project === '*' ? ' on every project' : ''}${expiresAt === undefined ? '' : ` until ${expiresAt.toISOString()}`}`
  }
}

function sinceOf({ since: { time, actor, position } }: GrantFound): string[] {
  return [time.toISOString(), actor.name ?? `${actor.kind}:${actor.id.slice(0, 8)}`, position]
}
