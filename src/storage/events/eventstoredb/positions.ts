import { setTimeout as sleep } from 'node:timers/promises'
import type { AllStreamRecordedEvent, Position as ServerPosition } from '@eventstore/db-client'
import type { EventCodec, From } from '../../../ports/event-log.ts'
import { position, positionLog, positionNumber } from '../../../ports/position.ts'
import type { Position } from '../../../ports/position.ts'
import { streams } from '../../../ports/streams.ts'
import { logNameIn } from '../naming.ts'
import { createHeads } from './heads.ts'
import type { Names } from './names.ts'
import type { Reader } from './reader.ts'
import { fromServer } from './server-events.ts'

/** How long a position is looked for beyond the head: a new leader may be behind for a moment. */
const BEHIND_MS = 5_000
const BEHIND_PAUSE_MS = 200

/** A number that stands between two events, or before the first. */
export class NoPositionError extends Error {
  override readonly name = 'NoPositionError'
}

export type Positions = Awaited<ReturnType<typeof createPositions>>

/** What positions say on this adapter: the log's name, and the commit position of an event in $all. */
export async function createPositions(reader: Reader, names: Names, codec: EventCodec) {
  const heads = createHeads(async () => {
    for await (const { position: at } of reader.backwards(1)) return at.commit
    return undefined
  })
  let name = await readName()

  async function readName(): Promise<string | undefined> {
    const named = await reader.lastOf(names.onServer(streams.log))
    return named === undefined ? undefined : logNameIn(streams.log, [fromServer(named, codec).event])
  }

  /** The event at a position. A number that the log did not give is refused, by the server or here. */
  async function eventAt(given: Position): Promise<AllStreamRecordedEvent> {
    const server = serverPosition(given)
    try {
      // The server begins one of its own at 0.
      if (server.commit > 0n) for await (const event of reader.forwards(server, 1)) if (event.position.commit === server.commit) return event
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('InvalidPosition'))) throw error
    }
    throw new NoPositionError(`${given} is no position that the log gave`)
  }

  /** The server takes a position beyond its end, and would give nothing for ever. */
  async function checkReached(given: Position, commit: bigint): Promise<void> {
    const deadline = performance.now() + BEHIND_MS
    while (heads.known() < commit && ((await heads.fresh()) ?? -1n) < commit) {
      if (performance.now() > deadline) throw new Error(`${given} is beyond the head of the log`)
      await sleep(BEHIND_PAUSE_MS)
    }
  }

  return {
    heads,
    /** The name, once the log has one. Another process may have given it since this one looked. */
    async named(): Promise<string | undefined> {
      return (name ??= await readName())
    },
    rename(to: string | undefined): void {
      name = to ?? name
    },
    at(commit: bigint): Position {
      if (name === undefined) throw new Error('the first append to a log names it (LogNamed)')
      return position(name, commit)
    },
    eventAt,
    /** What a reading begins after, in the server's terms, and the event that it begins with. A position of another log is refused. */
    async startOf(from: From): Promise<{ readonly after?: ServerPosition; readonly first?: AllStreamRecordedEvent }> {
      if (from === 'start') return {}
      const given = 'after' in from ? from.after : from.at
      name ??= await readName()
      if (positionLog(given) !== name) throw new Error(`${given} is a position of another log than ${name ?? 'this one'}`)
      const after = serverPosition(given)
      await checkReached(given, after.commit)
      return 'after' in from ? { after } : { after, first: await eventAt(given) }
    },
  }
}

/** Commit and prepare position are the same of every event that is appended over gRPC (measured). */
function serverPosition(given: Position): ServerPosition {
  const number = positionNumber(given)
  return { commit: number, prepare: number }
}
