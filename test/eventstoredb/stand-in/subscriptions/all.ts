import { randomUUID } from 'node:crypto'
import { caughtUp, checkpoint, compare, confirmation, eventAnswer, placeOf } from '../rpc/answers.ts'
import type { Place } from '../rpc/answers.ts'
import type { Filter } from '../rpc/filter.ts'
import type { Outlet } from '../rpc/outlet.ts'
import { invalidPosition } from '../rpc/refusals.ts'
import type { Log } from '../store/log.ts'
import { sizeOnDisk } from '../store/record.ts'
import type { StoredEvent } from '../store/record.ts'
import { createLiveQueue } from './live.ts'
import type { LiveQueue } from './live.ts'

/*
 * A subscription to `$all` catches up, page after page of what is stored, and then is live: it sends what is appended, until it is too
 * slow for what is kept for it, and catches up again. `reached` is the place up to which it has sent everything: events after it are
 * still to be sent, a checkpoint at it may be. With a filter it tells a checkpoint whenever it has looked at as many events as the
 * client wants, at the latest when it comes to the end. While it catches up, that is the place before the page.
 */

type Live = { readonly kind: 'event'; readonly event: StoredEvent } | { readonly kind: 'checkpoint'; readonly place: Place }

const BEFORE_ALL: Place = { commit: -1n, prepare: -1n }
const FIRST: Place = { commit: 0n, prepare: 0n }
const PAGE = 32

/** Sends what is after `from`, for as long as the client wants. Rejects for a position at which no record begins. */
export async function subscribeToAll(log: Log, from: 'start' | 'end' | Place, filter: Filter | undefined, outlet: Outlet): Promise<void> {
  const live = createLiveQueue<Live>(outlet.signal, outlet.isStalled)
  const unfollow = followLive(log, filter, live)
  try {
    const last = placeOf(log.lastPosition)
    await outlet.send(confirmation(randomUUID()))
    const sender = createSender(outlet)
    let reached = from === 'start' ? BEFORE_ALL : from === 'end' ? last : from
    let behind = compare(reached, last) < 0
    for (;;) {
      if (behind) reached = await catchUp(log, reached, filter, sender)
      reached = await goLive(reached, filter, live, sender)
      behind = true
    }
  } finally {
    unfollow()
  }
}

/** Queues the events that match, and a checkpoint when as many events as the interval went by. */
function followLive(log: Log, filter: Filter | undefined, live: LiveQueue<Live>): () => void {
  let considered = 0
  return log.follow((event) => {
    if (filter === undefined || filter.matches(event)) live.push({ kind: 'event', event })
    if (filter === undefined) return
    considered += 1
    if (considered < filter.checkpointInterval) return
    considered = 0
    live.push({ kind: 'checkpoint', place: placeOf(event.position) })
  })
}

type Sender = {
  event(event: StoredEvent): Promise<void>
  /** A checkpoint that is not after the last one is left out. */
  checkpoint(place: Place): Promise<void>
  caughtUp(): Promise<void>
}

function createSender(outlet: Outlet): Sender {
  let told = BEFORE_ALL
  return {
    event: (event) => outlet.send(eventAnswer(event)),
    async checkpoint(place) {
      if (compare(place, told) <= 0) return
      told = place
      await outlet.send(checkpoint(place))
    },
    caughtUp: () => outlet.send(caughtUp()),
  }
}

async function catchUp(log: Log, from: Place, filter: Filter | undefined, sender: Sender): Promise<Place> {
  let reached = from
  let begin = compare(from, BEFORE_ALL) === 0 ? FIRST : from
  let considered = 0
  for (;;) {
    const page = readPage(log, begin, filter)
    for (const event of page.events) {
      const place = placeOf(event.position)
      // The page begins at the place that was reached, and what is there was sent.
      if (compare(place, reached) <= 0) continue
      await sender.event(event)
      reached = place
    }
    if (compare(reached, begin) < 0 && compare(begin, page.next) < 0) reached = begin
    considered += page.considered
    if (page.isEnd) {
      if (compare(reached, FIRST) < 0 && compare(FIRST, page.next) < 0) reached = FIRST
      if (filter !== undefined) await sender.checkpoint(reached)
      return reached
    }
    if (filter !== undefined && considered >= filter.checkpointInterval) {
      considered %= filter.checkpointInterval
      await sender.checkpoint(reached)
    }
    begin = page.next
  }
}

/** Resolves when something was dropped that should have been sent. */
async function goLive(from: Place, filter: Filter | undefined, live: LiveQueue<Live>, sender: Sender): Promise<Place> {
  let reached = from
  await sender.caughtUp()
  for (;;) {
    const { entry, dropped } = await live.take()
    if (entry.kind === 'event' ? compare(placeOf(entry.event.position), reached) <= 0 : compare(entry.place, reached) < 0) continue
    if (dropped) {
      if (filter !== undefined) await sender.checkpoint(reached)
      return reached
    }
    if (entry.kind === 'event') {
      await sender.event(entry.event)
      reached = placeOf(entry.event.position)
    } else {
      await sender.checkpoint(entry.place)
      reached = entry.place
    }
  }
}

type Page = { readonly events: readonly StoredEvent[]; readonly considered: number; readonly next: Place; readonly isEnd: boolean }

function readPage(log: Log, begin: Place, filter: Filter | undefined): Page {
  if (!log.isPlace(begin.commit)) throw invalidPosition()
  const events: StoredEvent[] = []
  const window = filter?.window ?? PAGE
  let considered = 0
  let next = begin
  let index = indexFrom(log, begin)
  while (events.length < PAGE && considered < window) {
    const event = index < log.visible ? log.events[index] : undefined
    if (event === undefined) return { events, considered, next, isEnd: true }
    index += 1
    considered += 1
    if (filter === undefined || filter.matches(event)) events.push(event)
    next = { commit: event.position + sizeOnDisk(event), prepare: 0n }
  }
  return { events, considered, next, isEnd: false }
}

/** The index of the first event at or after a place. */
export function indexFrom(log: Log, place: Place): number {
  const index = log.indexAt(place.commit)
  const event = log.events[index]
  return event !== undefined && compare(placeOf(event.position), place) < 0 ? index + 1 : index
}
