import { ALL_STREAM } from '../access/rights.ts'
import type { Node } from '../node.ts'
import type { Served } from '../served.ts'
import { indexFrom, subscribeToAll } from '../subscriptions/all.ts'
import { subscribeToStream } from '../subscriptions/stream.ts'
import { shownOf } from '../store/thinning.ts'
import { sizeOnDisk } from '../store/record.ts'
import type { Log } from '../store/log.ts'
import { compare, eventAnswer, placeOf, streamNotFound } from './answers.ts'
import type { Place } from './answers.ts'
import { requiresLeader } from './caller.ts'
import { filterOf } from './filter.ts'
import { ReadReq } from './generated.ts'
import type { Streams } from './generated.ts'
import { outletOf } from './outlet.ts'
import type { Outlet, ReadCall } from './outlet.ts'
import { notWritten } from './not-written.ts'
import { invalidArgument, streamDeleted, unexpectedReadAll, unimplemented } from './refusals.ts'
import { streamNameOf } from './requests.ts'

type Options = Streams.ReadReq.Options
type StreamOptions = Streams.ReadReq.Options.StreamOptions

const { BACKWARDS } = ReadReq.Options.ReadDirection

/** Reads and subscriptions: of a stream or of `$all`. */
export function read(server: Served, call: ReadCall): void {
  const outlet = outletOf(call)
  handle(server, call, outlet).then(
    () => {
      outlet.end()
    },
    (error: unknown) => {
      outlet.end(error)
    },
  )
}

async function handle({ node, calls, access, subscriptions }: Served, call: ReadCall, outlet: Outlet): Promise<void> {
  const options = call.request.getOptions()
  if (options === undefined) throw invalidArgument('no options')
  if (options.getUuidOption()?.hasString() !== true) throw unimplemented('ids as numbers')
  if (options.getResolveLinks()) throw unimplemented('links')
  const name = options.hasSubscription() ? 'subscribe' : 'read'
  calls.count(name)
  const refused = await calls.refuseRead(name, requiresLeader(call))
  if (refused !== undefined) throw notWritten(refused)
  const stream = options.getStream()
  access.demand(call.metadata, 'read', stream === undefined ? ALL_STREAM : streamNameOf(stream.getStreamIdentifier()))
  if (options.hasSubscription()) {
    await subscriptions.serve(outlet, (served) => subscribe(node.log, options, served))
    return
  }
  const answers = stream === undefined ? readAll(node, options) : readStream(node, options, stream)
  for (const answer of answers) await outlet.send(answer)
}

function subscribe(log: Log, options: Options, outlet: Outlet): Promise<void> {
  const stream = options.getStream()
  const all = options.getAll()
  if (stream !== undefined) {
    const from = stream.hasStart() ? 'start' : stream.hasEnd() ? 'end' : BigInt(stream.getRevision())
    return subscribeToStream(log, streamNameOf(stream.getStreamIdentifier()), from, outlet)
  }
  const from = all?.hasStart() === true ? 'start' : all?.hasEnd() === true ? 'end' : requestedPlace(all)
  return subscribeToAll(log, from, filterOf(options), outlet)
}

function requestedPlace(all: Streams.ReadReq.Options.AllOptions | undefined): Place {
  const position = all?.getPosition()
  if (position === undefined) throw invalidArgument('no position')
  return { commit: BigInt(position.getCommitPosition()), prepare: BigInt(position.getPreparePosition()) }
}

function* readStream(node: Node, options: Options, asked: StreamOptions): Generator<Streams.ReadResp> {
  const stream = streamNameOf(asked.getStreamIdentifier())
  const shown = shownOf(node.log, stream, Date.now())
  if (shown.status === 'tombstone') throw streamDeleted(stream)
  if (shown.status === 'none') {
    yield streamNotFound(stream)
    return
  }
  const { events, first } = shown
  const last = BigInt(events.length) - 1n
  const revision = asked.hasRevision() ? BigInt(asked.getRevision()) : undefined
  const backwards = options.getReadDirection() === BACKWARDS
  const step = backwards ? -1n : 1n
  const from = revision ?? (asked.hasStart() ? first : backwards ? last : last + 1n)
  let next = backwards ? smaller(from, last) : larger(from, first)
  for (let left = BigInt(options.getCount()); left > 0n && next >= first && next <= last; left -= 1n, next += step) {
    const event = events[Number(next)]
    if (event !== undefined) yield eventAnswer(event)
  }
}

const smaller = (one: bigint, other: bigint): bigint => (one < other ? one : other)
const larger = (one: bigint, other: bigint): bigint => (one > other ? one : other)

/** Forwards the event at the position is the first; backwards it is the first that is left out. */
function* readAll({ log }: Node, options: Streams.ReadReq.Options): Generator<Streams.ReadResp> {
  const all = options.getAll()
  if (all === undefined) throw invalidArgument('neither a stream nor $all')
  const filter = filterOf(options)
  const place = all.hasPosition() ? requestedPlace(all) : undefined
  if (place !== undefined && !log.isPlace(place.commit)) throw unexpectedReadAll('InvalidPosition')
  const backwards = options.getReadDirection() === BACKWARDS
  const edge = all.hasEnd() ? log.visible : 0
  const [first, step, end] = backwards
    ? [(place === undefined ? edge : indexBefore(log, place)) - 1, -1, -1]
    : [place === undefined ? edge : indexFrom(log, place), 1, log.visible]
  let left = BigInt(options.getCount())
  for (let index = first; index !== end && left > 0n; index += step) {
    const event = log.events[index]
    if (event === undefined || (filter !== undefined && !filter.matches(event))) continue
    left -= 1n
    yield eventAnswer(event)
  }
}

/** The index behind the last event that ends at a place or before it. */
function indexBefore(log: Log, place: Place): number {
  const index = log.indexAt(place.commit)
  const event = log.events[index - 1]
  return event !== undefined && compare(placeOf(event.position + sizeOnDisk(event)), place) > 0 ? index - 1 : index
}
