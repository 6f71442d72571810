import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import { createPace } from '../../src/projections/pace.ts'

/** Keeps the event loop at work until told to end. */
function keepBusy(): { end(): void } {
  let ended = false
  const work = (): void => {
    const until = performance.now() + 20
    while (performance.now() < until);
    if (!ended) setImmediate(work)
  }
  work()
  return { end: () => { ended = true } }
}

describe('the pace of what nobody waits for', () => {
  test('goes on at once in a process that has time, gives way in one that is busy, and not for ever', async () => {
    const order: string[] = []
    const patient = createPace({ gatherMs: 10, patienceMs: 60_000 })
    await patient(new AbortController().signal)
    order.push('idle')
    const work = keepBusy()
    const impatient = createPace({ gatherMs: 10, patienceMs: 200 })(new AbortController().signal).then(() => order.push('out of patience'))
    const waiting = patient(new AbortController().signal).then(() => order.push('idle again'))
    await impatient
    await sleep(200)
    order.push('end of work')
    work.end()
    await waiting
    expect(order).toEqual(['idle', 'out of patience', 'end of work', 'idle again'])
  })

  test('ends with its signal', async () => {
    const work = keepBusy()
    const stopped = new AbortController()
    const waiting = createPace({ gatherMs: 10, patienceMs: 3_600_000 })(stopped.signal)
    stopped.abort()
    await waiting
    work.end()
    expect(stopped.signal.aborted).toBe(true)
  })
})
