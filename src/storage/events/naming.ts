import type { Event } from '../../ports/event.ts'
import { streams } from '../../ports/streams.ts'

/** The name that an append gives its log, or undefined. Positions carry it, so an adapter must know it before it answers. */
export function logNameIn(stream: string, events: readonly Event[]): string | undefined {
  if (stream !== streams.log) return undefined
  const data = events.at(-1)?.data
  return typeof data === 'object' && data !== null && 'log' in data && typeof data.log === 'string' ? data.log : undefined
}
