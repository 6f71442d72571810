import { randomUUID } from 'node:crypto'
import { ProcessStarted } from '../../../../src/commands/activity/events.ts'
import { LogNamed } from '../../../../src/commands/log/events.ts'
import type { Delivery, EventLog, From } from '../../../../src/ports/event-log.ts'
import type { Event } from '../../../../src/ports/event.ts'
import { comparePositions } from '../../../../src/ports/position.ts'
import type { Position } from '../../../../src/ports/position.ts'
import type { Lane } from '../../../../src/ports/streams.ts'
import { eventOf } from '../contract.ts'

export const nameLog = (log: EventLog) => log.append('log', -1, [eventOf(LogNamed({ log: 'contract' }))])

/** An event of the activity lane. */
export const started = (release = '1'): Event => eventOf(ProcessStarted({ release }))
export const newActivity = (): string => `activity-${randomUUID()}`

export async function appended(log: EventLog, stream: string, expected: number, events: readonly Event[]): Promise<readonly Position[]> {
  const result = await log.append(stream, expected, events)
  if (result.status === 'conflict') throw new Error(`conflict at ${result.actual}`)
  return result.positions
}

export type Followed = {
  readonly deliveries: Delivery[]
  /** Ids of events, in the order in which they came. */
  ids(): string[]
  marker(): Position | undefined
  /** Ends it, and rejects with what ended it before. */
  stop(): Promise<void>
}

/** Follows lanes until it is stopped. `pause`: waited for after each delivery. A marker that an event follows at or before it is an error. */
export function follow(log: EventLog, lanes: readonly Lane[], from: From, pause: () => Promise<unknown> = () => Promise.resolve()): Followed {
  const end = new AbortController()
  const deliveries: Delivery[] = []
  let marker: Position | undefined
  const ended = (async () => {
    for await (const delivery of log.subscribe(lanes, from, end.signal)) {
      deliveries.push(delivery)
      if (delivery.kind === 'marker') {
        if (marker !== undefined && comparePositions(delivery.position, marker) < 0) throw new Error(`a marker went back to ${delivery.position}`)
        marker = delivery.position
      } else if (marker !== undefined && comparePositions(delivery.recorded.position, marker) <= 0) {
        throw new Error(`${delivery.recorded.position} came behind the marker ${marker}`)
      }
      await pause()
    }
  })()
  // It is told to whoever stops it.
  ended.catch(() => undefined)
  return {
    deliveries,
    ids: () => deliveries.flatMap((each) => (each.kind === 'event' ? [each.recorded.event.id] : [])),
    marker: () => marker,
    async stop() {
      end.abort()
      await ended
    },
  }
}
