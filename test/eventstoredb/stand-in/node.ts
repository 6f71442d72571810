import { randomUUID } from 'node:crypto'
import { FIRST_PASSWORD, FIRST_USERS, findUser, userEvent, userStream } from './access/users.ts'
import type { Member } from './rpc/gossip.ts'
import { load } from './store/load.ts'
import { createLog } from './store/log.ts'
import type { Log } from './store/log.ts'
import { beginTerm } from './store/terms.ts'
import { createWriter } from './store/writer.ts'
import type { Write, Writer } from './store/writer.ts'

/** Where a node can be reached. */
export type Address = { readonly host: string; readonly port: number }

export type Role =
  /** It still reads its data: it does nothing yet. */
  { readonly kind: 'starting' } | { readonly kind: 'leader'; readonly writer: Writer } | { readonly kind: 'ending' }

/** A server, as the calls see it. */
export type Node = {
  readonly log: Log
  readonly role: Role
  members(): readonly Member[]
  /** Reads the data and begins to serve. `onDeposed` is called when another process took the folder over. */
  start(onDeposed: () => void): Promise<void>
  /** Takes no writes any more; those under way are told that they were interrupted. */
  end(): Promise<void>
}

/** `isSecure`: it has users. */
export function createNode(folder: string, isSecure: boolean, address: () => Address): Node {
  const id = randomUUID()
  const log = createLog()
  let role: Role = { kind: 'starting' }
  return {
    log,
    get role() {
      return role
    },
    members: () => [{ id, address: address(), state: role.kind, alive: true }],
    async start(onDeposed) {
      const term = await beginTerm(folder)
      if (term === undefined) throw new Error(`another process began to write to ${folder} at the same time`)
      load(log, term.segments)
      const writer = createWriter(log, term, onDeposed)
      await writer.write(beginning(term.number, id))
      if (isSecure) await makeFirstUsers(log, writer)
      role = { kind: 'leader', writer }
    },
    async end() {
      const ended = role
      role = { kind: 'ending' }
      if (ended.kind === 'leader') await ended.writer.stop()
    },
  }
}

/** Those that a server has from the beginning, where they are not there yet. */
async function makeFirstUsers(log: Log, writer: Writer): Promise<void> {
  for (const user of FIRST_USERS) {
    if (findUser(log, user.name) !== undefined) continue
    const events = [userEvent('$UserCreated', { ...user, disabled: false }, FIRST_PASSWORD)]
    await writer.write({ kind: 'append', stream: userStream(user.name), expected: { kind: 'any' }, events })
  }
}

/** The real server, too, writes an event of its own whenever a leader begins. */
function beginning(term: number, leaderId: string): Write {
  const data = Buffer.from(JSON.stringify({ epochNumber: term - 1, leaderInstanceId: leaderId }))
  return {
    kind: 'append',
    stream: '$epoch-information',
    expected: { kind: 'any' },
    events: [{ id: randomUUID(), type: '$epoch-information', json: true, data, metadata: new Uint8Array() }],
  }
}
