import type { EventCodec, EventLog, From, Resolved } from '../../../ports/event-log.ts'
import { parsePosition, positionLog, positionNumber } from '../../../ports/position.ts'
import { orAborted } from '../../../ports/or-aborted.ts'
import { createAlarms } from './alarms.ts'
import type { Alarm } from './alarms.ts'
import { LogClient } from './client.ts'
import type { ServerSettings } from './client.ts'
import { createConnection } from './connection.ts'
import type { RetryObserver } from './connection.ts'
import { createFollower } from './follow.ts'
import { createNames } from './names.ts'
import { NoPositionError, createPositions } from './positions.ts'
import { createReader } from './reader.ts'
import { createReading } from './reading.ts'
import { createWriting } from './writing.ts'
import type { Committed } from './writing.ts'

export type LogObserver = { readonly committed: Committed; readonly retried: RetryObserver; readonly alarmed: (alarm: Alarm) => void }

/** `space`: the beginning of the names of this log's streams, so that several share a server. */
export type EventStoreSettings = ServerSettings & { readonly space: string }

export type EventStoreLog = EventLog & {
  /** The log's clock minus this machine's, as what was last seen of both says. */
  clockSkewMs(): number
  /** `host:port` of the node that is asked, which leads; undefined while there is none. */
  leader(): string | undefined
  /** How many bytes of the log each subscription is behind, by its lanes. */
  behind(): ReadonlyMap<string, number>
}

/**
 * The log on EventStoreDB: a lane is a prefix of stream names, a position the commit position of an event in $all.
 * docs/eventstoredb.md says what the server does, and which of its ways this stands on.
 */
export async function openEventStoreLog(
  settings: EventStoreSettings,
  codec: EventCodec,
  observer: LogObserver,
  now: () => number = Date.now,
): Promise<EventStoreLog> {
  const { committed, retried } = observer
  const names = createNames(settings.space)
  const connection = createConnection((hint) => new LogClient(settings, hint))
  const reader = createReader(connection, retried)
  const positions = await createPositions(reader, names, codec).catch((error: unknown) => {
    connection.close()
    throw error
  })
  const alarms = createAlarms(names, observer.alarmed)
  const writing = createWriting({ connection, reader, names, codec, positions, alarms, committed, retried, now })
  const reading = createReading({ reader, follow: createFollower(connection, retried), names, codec, positions, alarms })

  /** The head of a log that has a name: a server has events of its own before. */
  const headOfNamed = async (): Promise<bigint | undefined> => ((await positions.named()) === undefined ? undefined : positions.heads.fresh())

  return {
    ...reading,
    async append(stream, expected, events, signal) {
      signal?.throwIfAborted()
      return orAborted(writing.append(stream, expected, events), signal)
    },
    async resolve(text): Promise<Resolved> {
      const given = parsePosition(text)
      if (given === undefined) return { status: 'refused', reason: `${text} is no position` }
      const head = await headOfNamed()
      if (positionLog(given) !== (await positions.named())) return { status: 'refused', reason: `${text} is a position of another log` }
      if (positionNumber(given) > (head ?? -1n)) return { status: 'refused', reason: `${text} is beyond the head of the log` }
      try {
        await positions.eventAt(given)
        return { status: 'resolved', position: given }
      } catch (error) {
        if (error instanceof NoPositionError) return { status: 'refused', reason: error.message }
        throw error
      }
    },
    async head() {
      const head = await headOfNamed()
      return head === undefined ? undefined : positions.at(head)
    },
    async fromLast(count): Promise<From> {
      const head = await headOfNamed()
      if (head === undefined) return 'start'
      if (count === 0) return { after: positions.at(head) }
      let left = count
      for await (const { streamId, position } of reader.backwards(Number.MAX_SAFE_INTEGER)) {
        if (names.ofServer(streamId) !== undefined) left -= 1
        if (left === 0) return { at: positions.at(position.commit) }
      }
      return 'start'
    },
    clockSkewMs: writing.clockSkewMs,
    leader: connection.node,
    async close() {
      await writing.close()
      connection.close()
    },
  }
}
