import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createClock } from '../../../../src/storage/events/eventstoredb/clock.ts'
import { startStandIn } from '../../../support/eventstoredb.ts'
import { newSpace } from '../../../support/spaces.ts'
import { appended, nameLog, newActivity, started } from './followed.ts'
import { openLog } from './opened.ts'

const noProbe = () => Promise.reject(new Error('not asked'))

describe('beside a machine whose time stands still', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: Date.UTC(2026, 10, 1) })
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  it('takes an event that was created between sending and answer for a sign that the clocks agree', () => {
    let offset = 0
    const clock = createClock(noProbe, () => Date.now() + offset)
    expect([clock.isKnown(), clock.due(), clock.skewMs()]).toEqual([false, true, 0])
    const answeredAt = performance.now()
    const sentAt = answeredAt - 3_000
    clock.saw(new Date(Date.now() - 1_500), { sentAt, answeredAt })
    expect(clock.skewMs()).toBeCloseTo(0)
    expect([clock.isKnown(), clock.due()]).toEqual([true, false])
    clock.saw(new Date(Date.now() + 7_000), { sentAt, answeredAt })
    expect(clock.skewMs()).toBeCloseTo(7_000)
    clock.saw(new Date(Date.now() - 10_000), { sentAt, answeredAt })
    expect(clock.skewMs()).toBeCloseTo(-7_000)
    // This machine's clock is set: nothing needs to be read for that to show.
    offset = -7_000
    expect(clock.skewMs()).toBeCloseTo(0)
  })

  it('asks for the time anew while the clocks are apart, once a second at most', async () => {
    let asked = 0
    let wrong = 60_000
    const probe = () => {
      asked += 1
      const at = performance.now()
      return Promise.resolve({ created: new Date(Date.now() + wrong), span: { sentAt: at, answeredAt: at } })
    }
    const clock = createClock(probe, Date.now)
    await clock.check()
    clock.saw(new Date(Date.now() + wrong), { sentAt: performance.now(), answeredAt: performance.now() })
    await expect(clock.check()).rejects.toThrow("this machine's clock is 60 s behind the log's")
    jest.advanceTimersByTime(999)
    await expect(clock.check()).rejects.toThrow('60 s behind')
    expect(asked).toBe(1)
    // The server's clock was put right.
    wrong = 0
    await expect(clock.check()).rejects.toThrow('60 s behind')
    jest.advanceTimersByTime(1)
    await clock.check()
    await clock.check()
    expect(asked).toBe(2)
  })
})

it('writes nothing by a clock that is more than 5 s off the server\'s, says so, and goes on when it was put right', async () => {
  const server = await startStandIn()
  const space = newSpace()
  let offset = 0
  const { log } = await openLog(server, space, () => Date.now() + offset)
  await nameLog(log)
  const stream = newActivity()
  await appended(log, stream, -1, [started()])
  expect(Math.abs(log.clockSkewMs())).toBeLessThan(1_000)
  offset = 6_000
  expect(Math.round(log.clockSkewMs() / 1_000)).toBe(-6)
  await expect(log.append(stream, 0, [started()])).rejects.toThrow("6 s ahead of the log's")
  const written = () => server.stored().filter((event) => event.stream === `${space}.a.${stream}`)
  expect(written()).toHaveLength(1)
  offset = 0
  await appended(log, stream, 0, [started()])
  expect(written()).toHaveLength(2)
  // What was written to ask for the time stands in neither lane.
  expect(server.stored().filter((event) => event.stream === `${space}.clock`)).toHaveLength(1)
  let events = 0
  for await (const { event } of log.readAll(['state', 'activity'], 'start')) events += event.type === 'ClockRead' ? 100 : 1
  expect(events).toBe(3)
  await log.close()
  await server.stop()
})

it('looks at the clock of a process that begins when it is off already, with its first event', async () => {
  const server = await startStandIn()
  const { log } = await openLog(server, newSpace(), () => Date.now() - 8_000)
  await nameLog(log)
  await expect(log.append(newActivity(), -1, [started()])).rejects.toThrow("8 s behind the log's")
  await log.close()
  await server.stop()
})
