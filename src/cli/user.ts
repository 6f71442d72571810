import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { userAggregate } from '../commands/user/aggregate.ts'
import { makeSecret } from '../identity/passwords/made-secret.ts'
import { faultWords, passwordFaults } from '../identity/passwords/policy.ts'
import { makeArgon2Verifier } from '../identity/passwords/schemes.ts'
import { SECRETS } from '../ports/key-store.ts'
import { catalogueGroup } from '../projections/read-models.ts'
import { caughtUp } from './caught-up.ts'
import { decidingOn, refuse, userIdOf } from './deciding.ts'
import type { Opened, WithRegistry } from './opened.ts'

type Options = { readonly stdin?: boolean }

export function userCommand(program: Command, withRegistry: WithRegistry): void {
  program
    .command('user')
    .description('users, from the machine itself')
    .command('reset-password')
    .description('give a local user another password; it is made and shown once, and what rests on the old one ends')
    .argument('<user>', 'a name, or an id')
    .option('--stdin', 'read the password from standard input')
    .action(withRegistry(resetPassword))
}

async function resetPassword(opened: Opened, nameOrId: string, { stdin }: Options): Promise<number> {
  const { sealer } = opened
  const deciding = await decidingOn(opened)
  const { rows, queries, handle, context } = deciding
  const id = await userIdOf(deciding, nameOrId)
  const user = id && (await queries.user(id))
  if (user === undefined || user === '') return refuse('there is no such user')
  if (user.source !== 'local') return refuse('the password of this user is kept elsewhere')
  const password = stdin === true ? (await text(process.stdin)).replace(/\r?\n$/, '') : makeSecret()
  const faults = passwordFaults(password)
  if (faults.length > 0) return refuse(`the password ${faultWords(faults)}`)
  const verifier = await sealer.seal(SECRETS, await makeArgon2Verifier(password))
  const { outcome, position } = await handle(userAggregate(rows, user.id), { type: 'ChangePassword', verifier }, context)
  if ('refused' in outcome) return refuse(outcome.message)
  // A server that runs has dropped what it remembered, or does so at once.
  if (position !== undefined) await caughtUp(opened, catalogueGroup, position)
  process.stdout.write(stdin === true ? 'the password was changed\n' : `the password is now ${password}\nIt is shown this once; it is kept only as a hash.\n`)
  return 0
}
