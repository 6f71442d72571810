import { expect, it } from '@jest/globals'
import { createSlots, passwordThreads } from '../../../src/identity/passwords/slots.ts'

it('runs so many at once, lets so many wait in their order, and is busy beyond', async () => {
  const slots = createSlots({ most: 2, mostWaiting: 3 })
  const begun: number[] = []
  const ends: (() => void)[] = []
  const running = Array.from({ length: 8 }, (_, index) =>
    slots.run(() => {
      begun.push(index)
      return new Promise<number>((resolve) => ends.push(() => { resolve(index) }))
    }),
  )
  expect(begun).toEqual([0, 1])
  for (const expected of [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]) {
    ends.shift()?.()
    await new Promise(setImmediate)
    expect(begun).toEqual(expected)
  }
  // Two are running still: one more waits.
  const late = slots.run(() => Promise.resolve(begun.push(8)))
  expect(begun).toHaveLength(5)
  for (const end of ends) end()
  await late
  expect(await Promise.all(running)).toEqual([0, 1, 2, 3, 4, 'busy', 'busy', 'busy'])
  expect(await slots.run(() => Promise.resolve('free again'))).toBe('free again')
})

it('has its slot back after a task that failed', async () => {
  const slots = createSlots({ most: 1, mostWaiting: 0 })
  await expect(slots.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  expect(await slots.run(() => Promise.resolve('free'))).toBe('free')
})

it.each([
  [4, 1, 1],
  [4, 2, 1],
  [4, 8, 2],
  [16, 8, 7],
  [1, 8, 1],
])('never takes every thread or core, where there are two: %i threads, %i cores, %i at once', (threads, cores, most) => {
  expect(passwordThreads(threads, cores)).toBe(most)
})
