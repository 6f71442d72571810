import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { bootstrap } from '../../src/commands/bootstrap.ts'
import type { FirstAdministrator } from '../../src/commands/bootstrap.ts'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { projectsAggregate } from '../../src/commands/project/aggregate.ts'
import { ROLES_VERSION } from '../../src/commands/access/roles.ts'
import { RoleMatrixAdopted } from '../../src/commands/settings/events.ts'
import { idOfName } from '../../src/commands/project/decide.ts'
import { createHandler } from '../../src/commands/handle.ts'
import { makeArgon2Verifier } from '../../src/identity/passwords/schemes.ts'
import type { EventLog } from '../../src/ports/event-log.ts'
import type { Recorded } from '../../src/ports/event.ts'
import type { Sealer } from '../../src/ports/key-store.ts'
import { createMemoryLog } from '../../src/storage/events/memory.ts'
import { openFileKeyStore } from '../../src/storage/keys/file.ts'
import { createSealer } from '../../src/storage/keys/sealer.ts'
import { noRows } from '../support/decision-rows.ts'

let folder: string
let sealer: Sealer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-keys-'))
  sealer = createSealer(await openFileKeyStore({ folder, masterKey: Buffer.alloc(32, 1) }))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function all(log: EventLog): Promise<Recorded[]> {
  const found: Recorded[] = []
  for await (const each of log.readAll(['state', 'activity'], 'start')) found.push(each)
  return found
}

const admin = (password: string | undefined): FirstAdministrator => ({
  password,
  makePassword: () => 'made-password',
  makeVerifier: makeArgon2Verifier,
})

const newLog = (): EventLog => createMemoryLog(createCodec(eventTypes))

it('names the log, creates the registry, its administrator and its first project, and tells a made password once', async () => {
  const log = newLog()
  const { registry, password } = await bootstrap(log, sealer, randomUUID(), admin(undefined))
  expect(password).toBe('made-password')
  expect((await all(log)).map(({ stream, event }) => [stream, event.type])).toEqual([
    ['log', 'LogNamed'],
    ['settings', 'RegistryCreated'],
    ['settings', 'RoleMatrixAdopted'],
    ['keys', 'VerifierKeyMade'],
    ['users', 'UserCreated'],
    ['projects', 'ProjectCreated'],
  ])
  expect((await all(log)).find(({ event }) => event.type === 'RegistryCreated')?.event.data).toEqual({ registry })
  expect(await bootstrap(log, sealer, randomUUID(), admin(undefined))).toEqual({ registry, password: undefined })
  expect(await all(log)).toHaveLength(6)
})

it('takes up a start that was cut short, wherever it was', async () => {
  const whole = newLog()
  await bootstrap(whole, sealer, randomUUID(), admin('given'))
  const events = await all(whole)
  for (let length = 0; length <= events.length; length += 1) {
    const log = newLog()
    for (const { stream, event, revision } of events.slice(0, length)) await log.append(stream, revision - 1, [event])
    expect((await bootstrap(log, sealer, randomUUID(), admin('given'))).password).toBeUndefined()
    expect((await all(log)).map(({ event }) => event.type)).toEqual(events.map(({ event }) => event.type))
  }
})

it('says which table of roles holds where the log says another one, and not again', async () => {
  const log = newLog()
  await bootstrap(log, sealer, randomUUID(), admin('given'))
  const [first] = (await all(log)).filter(({ event }) => event.type === 'RoleMatrixAdopted')
  const older = { ...RoleMatrixAdopted({ version: 999 }), id: randomUUID(), at: new Date().toISOString(), actor: { kind: 'system' as const, subject: randomUUID() } }
  await log.append('settings', first?.revision ?? -1, [older])
  for (let start = 0; start < 2; start += 1) await bootstrap(log, sealer, randomUUID(), admin('given'))
  const adopted = (await all(log)).flatMap(({ event }) => (event.type === 'RoleMatrixAdopted' ? [(event.data as { version: number }).version] : []))
  expect(adopted).toEqual([ROLES_VERSION, 999, ROLES_VERSION])
})

it('keeps no name and no password in clear', async () => {
  const log = newLog()
  await bootstrap(log, sealer, randomUUID(), admin('a-password-in-clear'))
  const written = JSON.stringify(await all(log))
  expect(written).not.toMatch(/a-password-in-clear|argon2|"admin"/)
})

it('lets one of two processes that create the same name through, and the other find its project (200 rounds)', async () => {
  const log = newLog()
  await bootstrap(log, sealer, randomUUID(), admin('given'))
  // Rows that never catch up: the stream is the authority.
  const rows = { ...noRows, projects: () => Promise.resolve({ revision: 0, lastNumber: 1, names: new Map(), deletions: new Map() }) }
  const processes = [createHandler(log), createHandler(log)]
  const context = { actor: { kind: 'system' as const, subject: randomUUID() }, now: () => new Date() }
  for (let round = 0; round < 200; round += 1) {
    const [first, second] = await Promise.all(
      processes.map(async (handle) => {
        const id = randomUUID()
        const command = { type: 'CreateProject', id, name: `project-${round}`, owner: randomUUID(), visibility: 'private' } as const
        const { outcome, state } = await handle(projectsAggregate(rows), command, context)
        return 'refused' in outcome ? idOfName(state, command.name) : id
      }),
    )
    expect(first).toBe(second)
  }
  const created = (await all(log)).filter(({ event }) => event.type === 'ProjectCreated')
  expect(created).toHaveLength(201)
  expect(created.map(({ event }) => (event.data as { number: number }).number)).toEqual(Array.from({ length: 201 }, (_, index) => index + 1))
})
