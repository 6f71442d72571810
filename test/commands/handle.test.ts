import { randomUUID } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { ProcessStarted } from '../../src/commands/activity/events.ts'
import { createHandler } from '../../src/commands/handle.ts'
import { openLog } from '../storage/events/eventstoredb/opened.ts'
import { nameLog } from '../storage/events/eventstoredb/followed.ts'
import { startStandIn } from '../support/eventstoredb.ts'

it('frees whoever waits no longer, in the queue too, while the log is away, and does nothing for them then', async () => {
  const server = await startStandIn()
  const { log } = await openLog(server)
  await nameLog(log)
  const handle = createHandler(log)
  const loaded: string[] = []
  const aggregate = {
    stream: `activity-${randomUUID()}`,
    load(release: string) {
      loaded.push(release)
      return Promise.resolve({ revision: -1 })
    },
    evolve: ({ revision }: { readonly revision: number }) => ({ revision: revision + 1 }),
    decide: (_: unknown, release: string) => [ProcessStarted({ release })],
  }
  const context = { actor: { kind: 'system' as const, subject: randomUUID() }, now: () => new Date() }
  await handle(aggregate, 'before', context)

  server.signal('SIGSTOP')
  const commands = ['first', 'second', 'third'].map((release) => handle(aggregate, release, { ...context, signal: AbortSignal.timeout(100) }))
  const outcomes = await Promise.allSettled(commands)
  expect(outcomes).toMatchObject(Array.from(commands, () => ({ status: 'rejected', reason: { name: 'TimeoutError' } })))
  // The one that has its turn waits for its read until the log is there again.
  const last = handle(aggregate, 'after', context)
  server.signal('SIGCONT')
  expect(await last).toMatchObject({ state: { revision: 0 } })
  expect(loaded).toEqual(['before', 'first', 'after'])
  expect(server.stored().filter(({ stream }) => stream.endsWith(aggregate.stream))).toHaveLength(2)
  await log.close()
  await server.stop()
})
