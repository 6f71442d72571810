import type { Event } from '../../ports/event.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import { TamperingFound } from './events.ts'
import type { AlarmFact } from './events.ts'

type AlarmsState = { readonly revision: number; readonly raised: ReadonlySet<string> }

const keyOf = (alarm: AlarmFact['data']): string => JSON.stringify([alarm.tampering, alarm.stream, alarm.detail])

/** What was found, each once: every start and every process finds the same again. There are few, so the whole stream is folded. */
export const alarmsAggregate: Aggregate<AlarmsState, AlarmFact['data'], AlarmFact> = {
  stream: streams.alarms,
  load: () => Promise.resolve({ revision: -1, raised: new Set() }),
  evolve: ({ revision, raised }, event: Event<AlarmFact>) => ({ revision: revision + 1, raised: new Set([...raised, keyOf(event.data)]) }),
  decide: ({ raised }, alarm) => (raised.has(keyOf(alarm)) ? [] : [TamperingFound(alarm)]),
}
