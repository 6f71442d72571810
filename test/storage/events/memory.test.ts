import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { createMemoryLog } from '../../../src/storage/events/memory.ts'
import { describeEventLog } from './contract.ts'

describeEventLog('memory', () => {
  const log = createMemoryLog(createCodec(eventTypes))
  return Promise.resolve({ log, end: () => log.close() })
})
