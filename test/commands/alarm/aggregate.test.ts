import { it } from '@jest/globals'
import { alarmsAggregate } from '../../../src/commands/alarm/aggregate.ts'
import { TamperingFound } from '../../../src/commands/alarm/events.ts'
import type { AlarmFact } from '../../../src/commands/alarm/events.ts'
import { specification } from '../../support/specification.ts'

type State = { readonly revision: number; readonly raised: ReadonlySet<string> }

const alarms = specification<State, AlarmFact['data'], AlarmFact>({
  initial: { revision: -1, raised: new Set() },
  evolve(state, event, command) {
    const next = alarmsAggregate.evolve(state, event, command)
    if (next instanceof Promise) throw new Error('nothing is opened here')
    return next
  },
  decide: (state, command) => alarmsAggregate.decide(state, command),
})
const found = { tampering: 'truncated', stream: 'settings', detail: '{"$maxAge":1}' }

it('writes down what was found, and once: every start and every process finds it again', () => {
  alarms.given().when(found).then(TamperingFound(found))
  alarms.given(TamperingFound(found)).when(found).then()
  alarms.given(TamperingFound(found)).when({ ...found, stream: 'users' }).then(TamperingFound({ ...found, stream: 'users' }))
})
