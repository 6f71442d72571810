import { randomUUID } from 'node:crypto'
import { caughtUp, confirmation, eventAnswer, isTombstone } from '../rpc/answers.ts'
import type { Outlet } from '../rpc/outlet.ts'
import { streamDeleted } from '../rpc/refusals.ts'
import type { Log } from '../store/log.ts'
import type { StoredEvent } from '../store/record.ts'
import { shownOf } from '../store/thinning.ts'
import { createLiveQueue } from './live.ts'
import type { LiveQueue } from './live.ts'

/** Sends a stream's events after a revision, for as long as the client wants, or until the stream has a tombstone: then it rejects. */
export async function subscribeToStream(log: Log, stream: string, from: 'start' | 'end' | bigint, outlet: Outlet): Promise<void> {
  const live = createLiveQueue<StoredEvent>(outlet.signal, outlet.isStalled)
  const unfollow = log.follow((event) => {
    if (event.stream === stream) live.push(event)
  })
  try {
    if (log.shownTombstone(stream) !== undefined) throw streamDeleted(stream)
    const last = BigInt(log.shown(stream)?.length ?? 0) - 1n
    await outlet.send(confirmation(randomUUID()))
    let reached = from === 'start' ? -1n : from === 'end' ? last : from
    for (;;) {
      reached = await catchUp(log, stream, reached, outlet)
      reached = await goLive(stream, reached, live, outlet)
    }
  } finally {
    unfollow()
  }
}

async function catchUp(log: Log, stream: string, from: bigint, outlet: Outlet): Promise<bigint> {
  let reached = from
  for (;;) {
    const shown = shownOf(log, stream, Date.now())
    if (shown.status === 'tombstone') throw streamDeleted(stream)
    const next = shown.status === 'none' ? undefined : shown.events[Number(reached + 1n < shown.first ? shown.first : reached + 1n)]
    if (next === undefined) return reached
    await outlet.send(eventAnswer(next))
    reached = next.revision
  }
}

/** Resolves when something was dropped that should have been sent. */
async function goLive(stream: string, from: bigint, live: LiveQueue<StoredEvent>, outlet: Outlet): Promise<bigint> {
  let reached = from
  await outlet.send(caughtUp())
  for (;;) {
    const { entry, dropped } = await live.take()
    if (entry.revision <= reached) continue
    if (dropped) return reached
    await outlet.send(eventAnswer(entry))
    if (isTombstone(entry)) throw streamDeleted(stream)
    reached = entry.revision
  }
}
