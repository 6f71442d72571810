import type { Command } from 'commander'
import { usersAggregate } from '../commands/user/aggregate.ts'
import type { EventLog } from '../ports/event-log.ts'
import type { Position } from '../ports/position.ts'
import { anonymousBeside } from '../projections/audit-queries.ts'
import { wipe } from '../projections/forgetting.ts'
import { catalogueGroup, trailGroup } from '../projections/read-models.ts'
import { catchUp } from './caught-up.ts'
import { decidingOn, refuse, userIdOf } from './deciding.ts'
import type { Opened, WithRegistry } from './opened.ts'

export function subjectCommand(program: Command, withRegistry: WithRegistry): void {
  program
    .command('subject')
    .description('people, as the log knows them')
    .command('forget')
    .description('end a user and destroy their key: name, mail and addresses are nowhere any more, and cannot be had back')
    .argument('<user>', 'a name, or an id')
    .action(withRegistry(forget))
}

/**
 * Ends the user, destroys the keys, says so in the log, and writes the rows anew that had it in clear. In this order, so that whatever
 * cuts it short, nothing says of somebody that they were forgotten who was not, and the same command by id finishes it. With the user's
 * own key go those of callers without a login who were seen at an address of theirs: the trail says so in clear, and that goes last, so
 * that a second run finds them again.
 */
async function forget(opened: Opened, nameOrId: string): Promise<number> {
  const { sealer, log, pool } = opened
  const deciding = await decidingOn(opened)
  const { rows, handle, context } = deciding
  const user = await userIdOf(deciding, nameOrId)
  if (user === undefined) return refuse('there is no such user')
  process.stderr.write(`varve: this user is ${user}; where this is cut short, finish it by: varve subject forget ${user}\n`)
  const users = usersAggregate(rows, sealer)
  const deleted = await handle(users, { type: 'DeleteUser', user }, context)
  if ('refused' in deleted.outcome && deleted.outcome.code !== 'NOT_FOUND') return refuse(deleted.outcome.message)
  const before = await catchUp(opened, trailGroup, await headOf(log))
  if (before.behind !== undefined) return refuse(`${before.behind}, so not all addresses are known: no key was destroyed yet`)
  const shared = await anonymousBeside(pool, before.schema, user)
  for (const subject of [...shared, user]) await sealer.forget(subject)
  const { outcome, position } = await handle(users, { type: 'ForgetUser', user, shared }, context)
  if ('refused' in outcome) return refuse(outcome.message)
  const end = position ?? (await headOf(log))
  const [catalogue, trail] = [await catchUp(opened, catalogueGroup, end), await catchUp(opened, trailGroup, end)]
  const behind = catalogue.behind ?? trail.behind
  if (behind !== undefined) return refuse(`${behind}, so it may still say what the log does not say any more`)
  await wipe(pool, trail.schema)
  process.stdout.write(`the user ${user} is forgotten\n`)
  return 0
}

async function headOf(log: EventLog): Promise<Position> {
  const head = await log.head()
  if (head === undefined) throw new Error('the log is empty')
  return head
}
