import { randomBytes, randomUUID } from 'node:crypto'
import type { Actor, Event, Fact } from '../ports/event.ts'
import type { EventLog } from '../ports/event-log.ts'
import { SECRETS } from '../ports/key-store.ts'
import type { Sealer } from '../ports/key-store.ts'
import { streams } from '../ports/streams.ts'
import { ROLES_VERSION } from './access/roles.ts'
import { createHandler, envelope } from './handle.ts'
import { VerifierKeyMade } from './keys/events.ts'
import { LogNamed } from './log/events.ts'
import { ProjectCreated } from './project/events.ts'
import { registryAggregate } from './settings/registry.ts'
import { UserCreated } from './user/events.ts'
import { sealPerson } from './user/aggregate.ts'
import type { UsersFact } from './user/events.ts'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'
const LOG_NAME_LENGTH = 8

/** How the first administrator gets in: by the password given, or by one that is made. */
export type FirstAdministrator = {
  readonly password: string | undefined
  readonly makePassword: () => string
  readonly makeVerifier: (password: string) => Promise<string>
}

export type Bootstrapped = {
  /** The registry's random id. */
  readonly registry: string
  /** That was made for `admin`; undefined where one was given or there is one already. */
  readonly password: string | undefined
}

/**
 * A log's first events, each only where it is not there yet, so that a start that was cut short is taken up where it ended; and which
 * table of roles answers rest on from here on, where the log's last word is another one.
 */
export async function bootstrap(log: EventLog, sealer: Sealer, boot: string, admin: FirstAdministrator): Promise<Bootstrapped> {
  const actor: Actor = { kind: 'system', subject: boot }
  const context = { actor, now: () => new Date() }

  async function first(stream: string, fact: () => Fact | Promise<Fact>): Promise<Event | undefined> {
    if ((await firstOf(log, stream)) !== undefined) return undefined
    const event = envelope(await fact(), context)
    // Another process that starts on the same log may have been first: its event stands then.
    return (await log.append(stream, -1, [event])).status === 'appended' ? event : undefined
  }

  await first(streams.log, () => LogNamed({ log: Array.from(randomBytes(LOG_NAME_LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join('') }))
  const founding = { registry: randomUUID(), roles: ROLES_VERSION }
  const { state } = await createHandler(log)(registryAggregate, founding, context)
  await first(streams.keys, async () => VerifierKeyMade({ key: await sealer.seal(SECRETS, randomBytes(32).toString('base64')) }))
  const password = admin.password ?? admin.makePassword()
  const created = await first(streams.users, async () => {
    const user = randomUUID()
    const [{ sealed: person }, verifier] = [await sealPerson(sealer, user, { name: 'admin' }), await sealer.seal(SECRETS, await admin.makeVerifier(password))]
    return UserCreated({ user, number: 1, source: 'local', person, verifier, administrator: true })
  })
  const user = (await firstOf(log, streams.users)) as Event<UsersFact> | undefined
  if (user === undefined) throw new Error('the log has no first user')
  await first(streams.projects, () =>
    ProjectCreated({ project: randomUUID(), number: 1, name: 'library', visibility: 'private', owner: user.data.user }),
  )
  return {
    registry: state.registry ?? founding.registry,
    password: created !== undefined && admin.password === undefined ? password : undefined,
  }
}

async function firstOf(log: EventLog, stream: string): Promise<Event | undefined> {
  for await (const { event } of log.readStream(stream, -1)) return event
  return undefined
}
