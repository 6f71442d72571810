import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { sourceOf } from '../../../../src/storage/events/eventstoredb/source.ts'

type Item = { readonly n: number }

function open() {
  const stream = new PassThrough({ objectMode: true, highWaterMark: 10_000 })
  let cancelled = 0
  const source = sourceOf<Item>(stream, () => {
    cancelled += 1
    return Promise.reject(new Error('there was nothing to cancel'))
  })
  return { stream, source, cancelled: () => cancelled }
}

it('gives items in order, says when there is none, and the error behind the last', async () => {
  const { stream, source } = open()
  for (const n of [1, 2]) stream.write({ n })
  await turn()
  stream.emit('error', new Error('dropped'))
  expect([source.take(), source.take()]).toEqual([{ n: 1 }, { n: 2 }])
  expect(() => source.take()).toThrow('dropped')
  // Errors that come late, and errors that come twice, have a listener, too.
  stream.emit('error', new Error('once more'))
  expect(() => source.take()).toThrow('dropped')
})

it('tells an end from an error, once everything was taken', async () => {
  const { stream, source } = open()
  stream.end({ n: 1 })
  await source.changed(5_000, new AbortController().signal)
  await turn()
  expect(source.ended()).toBe(false)
  expect(source.take()).toEqual({ n: 1 })
  await turn()
  expect([source.take(), source.ended()]).toEqual([undefined, true])
  const broken = open()
  broken.stream.destroy()
  await turn()
  expect(() => broken.source.take()).toThrow('closed')
  expect(broken.source.ended()).toBe(false)
})

it('pauses a stream whose items nobody takes, and takes it up again', async () => {
  const { stream, source } = open()
  for (let n = 0; n < 1_000; n += 1) stream.write({ n })
  for (let turns = 0; turns < 20; turns += 1) await turn()
  expect(stream.isPaused()).toBe(true)
  expect(stream.readableLength + stream.writableLength).toBeGreaterThan(900)
  const taken: number[] = []
  for (let waits = 0; taken.length < 1_000; waits += 1) {
    expect(waits).toBeLessThan(1_000)
    for (let item = source.take(); item !== undefined; item = source.take()) taken.push(item.n)
    await source.changed(1_000, new AbortController().signal)
  }
  expect(taken).toEqual(Array.from({ length: 1_000 }, (_, n) => n))
})

it('waits no longer than it is told, than the signal says, and than there is something', async () => {
  const { stream, source, cancelled } = open()
  const never = new AbortController().signal
  const began = performance.now()
  await source.changed(50, never)
  expect(performance.now() - began).toBeGreaterThan(40)
  await source.changed(60_000, AbortSignal.timeout(50))
  const waiting = source.changed(60_000, never)
  stream.write({ n: 1 })
  await waiting
  expect(source.take()).toEqual({ n: 1 })
  source.close()
  await source.changed(60_000, never)
  expect(() => source.take()).toThrow('given up')
  expect(cancelled()).toBe(1)
})
