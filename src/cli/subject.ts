import type { Command } from 'commander'
import { usersAggregate } from '../commands/user/aggregate.ts'
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
 * Ends the user, destroys the key, says so in the log, and writes the rows anew that had it in clear. In this order, so that whatever
 * cuts it short, nothing says of somebody that they were forgotten who was not, and the same command by id finishes it.
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
  await sealer.forget(user)
  const { outcome, position } = await handle(users, { type: 'ForgetUser', user }, context)
  if ('refused' in outcome) return refuse(outcome.message)
  const end = position ?? (await log.head())
  if (end === undefined) throw new Error('the log is empty')
  const [catalogue, trail] = [await catchUp(opened, catalogueGroup, end), await catchUp(opened, trailGroup, end)]
  const behind = catalogue.behind ?? trail.behind
  if (behind !== undefined) return refuse(`${behind}, so it may still say what the log does not say any more`)
  await wipe(pool, trail.schema)
  process.stdout.write(`the user ${user} is forgotten\n`)
  return 0
}
