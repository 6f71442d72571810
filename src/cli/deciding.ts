import { randomUUID } from 'node:crypto'
import { createHandler } from '../commands/handle.ts'
import type { CommandContext, Handle } from '../commands/handle.ts'
import type { DecisionRows } from '../ports/decision-rows.ts'
import { folded } from '../ports/same-name.ts'
import { isUuid } from '../ports/uuid.ts'
import { identityDecisionRows, identityQueries } from '../projections/identity-queries.ts'
import type { IdentityQueries } from '../projections/identity-queries.ts'
import { catalogueGroup } from '../projections/read-models.ts'
import { createRows } from '../projections/versioned-queries.ts'
import { caughtUp } from './caught-up.ts'
import type { Opened } from './opened.ts'

/** What a command that changes something decides with: what there is at this moment, and the operator on the machine as who does it. */
export type Deciding = {
  readonly rows: Omit<DecisionRows, 'repository'>
  readonly queries: IdentityQueries
  readonly handle: Handle
  readonly context: CommandContext
}

export async function decidingOn(opened: Opened): Promise<Deciding> {
  const end = await opened.log.head()
  if (end === undefined) throw new Error('there is no registry yet: start the server once')
  const schema = await caughtUp(opened, catalogueGroup, end)
  const rows = createRows(opened.pool, () => schema)
  const context = { actor: { kind: 'operator', subject: randomUUID() }, now: () => new Date() } as const
  return { rows: identityDecisionRows(rows), queries: identityQueries(rows), handle: createHandler(opened.log), context }
}

/** The id of a user who lives, by name, or of any, by id; undefined where there is none. */
export async function userIdOf({ rows, queries }: Deciding, nameOrId: string): Promise<string | undefined> {
  const id = nameOrId.toLowerCase()
  const found = isUuid(id) ? (await rows.users({ id, name: undefined, email: undefined })).users : []
  return found.some((user) => user.id === id) ? id : queries.userIdByName(folded(nameOrId))
}

/** Says why a command was not done; its exit code. */
export function refuse(message: string): number {
  process.stderr.write(`varve: ${message}\n`)
  return 1
}
