import { randomUUID } from 'node:crypto'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { createHandler } from '../../src/commands/handle.ts'
import { sealPerson, usersAggregate } from '../../src/commands/user/aggregate.ts'
import { openPostgresLog } from '../../src/storage/events/postgres/log.ts'
import { loadMasterKey, openFileKeyStore } from '../../src/storage/keys/file.ts'
import { createSealer } from '../../src/storage/keys/sealer.ts'
import { connectToRunning } from '../../src/storage/postgres/embedded.ts'
import { noRows } from './decision-rows.ts'
import { managementClient } from './management.ts'
import type { VarveServer } from './server.ts'
import { until } from './until.ts'

/** Lets a server know a user of a provider that is not there: by an event, as a login would. Answers the user's number. */
export async function addOidcUser(server: VarveServer, name: string): Promise<number> {
  const connection = await connectToRunning(server.dataFolder)
  if (connection === undefined) throw new Error('the server has no Postgres of its own')
  const log = await openPostgresLog(connection, createCodec(eventTypes))
  try {
    const sealer = createSealer(await openFileKeyStore({ folder: server.dataFolder, masterKey: await loadMasterKey(`${server.dataFolder}/master.key`) }))
    const user = randomUUID()
    const person = await sealPerson(sealer, user, { name, email: `${name}@example.org`, external: `https://provider.example.org ${name}` })
    const rows = { ...noRows, users: () => Promise.resolve({ revision: -1, lastNumber: 0, users: [], administrators: [] }) }
    const context = { actor: { kind: 'system', subject: randomUUID() } as const, now: () => new Date() }
    await createHandler(log)(usersAggregate(rows, sealer), { type: 'CreateUser', user, person, source: 'oidc', administrator: false }, context)
  } finally {
    await log.close()
  }
  const api = managementClient(server)
  let number: number | undefined
  await until(async () => {
    const { body } = await api.ask('GET', `/users/search?username=${name}`)
    number = (body as { user_id: number; username: string }[]).find((each) => each.username === name)?.user_id
    return number !== undefined
  }, `the user ${name}`)
  return number ?? 0
}
