import { afterAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { BlobDeleted, ManifestDeleted, ManifestPushed, TagAssigned, TagDeleted } from '../../src/commands/repository/events.ts'
import { BlobUploaded } from '../../src/commands/upload/events.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_IMAGE_MANIFEST } from '../../src/oci/media-types.ts'
import { parseTag } from '../../src/oci/names.ts'
import type { Fact, Recorded } from '../../src/ports/event.ts'
import { position } from '../../src/ports/position.ts'
import { repositoryKey, streams } from '../../src/ports/streams.ts'
import type { RepositoryKey } from '../../src/ports/streams.ts'
import { catalogueQueries } from '../../src/projections/catalogue-queries.ts'
import { createCatalogueReader } from '../../src/projections/catalogue-reader.ts'
import { createMemory } from '../../src/projections/memory.ts'
import type { MaybeLater } from '../../src/projections/memory.ts'
import { createRows } from '../../src/projections/versioned-queries.ts'
import { eventOf } from '../storage/events/contract.ts'
import { interleavings } from '../support/interleavings.ts'

type Step =
  | 'first asks' | 'first is read' | 'first has it'
  | 'second asks' | 'second is read' | 'second has it'
  | 'row changes' | 'event is forgotten'
  | 'row changes again' | 'next event is forgotten'

const FIRST = ['first asks', 'first is read', 'first has it'] as const
const SECOND = ['second asks', 'second is read', 'second has it'] as const
/** A row is committed before its event is forgotten, and events are forgotten in order; two commits may come before either is. */
const CHANGES = [['row changes', 'event is forgotten', 'next event is forgotten'], ['row changes again']] as const
const ORDER = new Map<Step, Step>([
  ['row changes again', 'row changes'],
  ['next event is forgotten', 'row changes again'],
])

/** A row whose reads take as long as the test wants: what a read sees is decided when it is told to look. */
function slowRow<V>(now: V | undefined) {
  const row = { now }
  const reads: { look(): void; answer(): void }[] = []
  return {
    row,
    reads,
    read(): Promise<V | undefined> {
      const { promise, resolve } = Promise.withResolvers<V | undefined>()
      let seen: V | undefined
      reads.push({
        look: () => {
          seen = row.now
        },
        answer: () => {
          resolve(seen)
        },
      })
      return promise
    },
  }
}

/**
 * Runs one order. Answers what is remembered in the end, and what those got who asked when the last event had been forgotten: they
 * know of it, since its position was called visible then.
 */
async function run<V>(
  order: readonly Step[],
  slow: ReturnType<typeof slowRow<V>>,
  get: () => MaybeLater<V> | undefined,
  changes: readonly { readonly to: V | undefined; forget(): void }[],
): Promise<{ final: V | undefined; late: (V | undefined)[] }> {
  const asked = new Map<string, { readonly read: (typeof slow.reads)[number] | undefined; readonly got: Promise<V | undefined>; readonly late: boolean }>()
  let forgotten = 0
  const ask = (who: string): void => {
    const before = slow.reads.length
    const got = Promise.resolve(get())
    // Undefined where it was remembered, or a read under way is shared.
    asked.set(who, { read: slow.reads[before], got, late: forgotten === changes.length })
  }
  const forget = (index: number): void => {
    changes[index]?.forget()
    forgotten += 1
  }
  const act: Record<Step, () => void> = {
    'first asks': () => { ask('first') },
    'first is read': () => asked.get('first')?.read?.look(),
    'first has it': () => asked.get('first')?.read?.answer(),
    'second asks': () => { ask('second') },
    'second is read': () => asked.get('second')?.read?.look(),
    'second has it': () => asked.get('second')?.read?.answer(),
    'row changes': () => { slow.row.now = changes[0]?.to },
    'row changes again': () => { slow.row.now = changes[1]?.to },
    'event is forgotten': () => { forget(0) },
    'next event is forgotten': () => { forget(1) },
  }
  for (const step of order) {
    act[step]()
    // What follows from a step has happened before the next one.
    for (let turn = 0; turn < 6; turn += 1) await Promise.resolve()
  }
  const late = await Promise.all([...asked.values()].filter((each) => each.late).map((each) => each.got))
  await Promise.all([...asked.values()].map((each) => each.got))
  const last = get()
  for (const each of slow.reads) {
    each.look()
    each.answer()
  }
  return { final: await last, late }
}

describe('a memory in front of reads', () => {
  it.each([
    { name: 'one change', chains: [FIRST, SECOND, ['row changes', 'event is forgotten'] as const], order: new Map<Step, Step>(), values: ['new'], orders: 560 },
    { name: 'a change and an end', chains: [FIRST, SECOND, ...CHANGES], order: ORDER, values: ['new', undefined], orders: 8_400 },
    { name: 'two changes', chains: [FIRST, SECOND, ...CHANGES], order: ORDER, values: ['new', 'newest'], orders: 8_400 },
    { name: 'a change and back', chains: [FIRST, SECOND, ...CHANGES], order: ORDER, values: ['new', 'old'], orders: 8_400 },
  ])('keeps nothing old after $name, in whatever order it is filled and told', async ({ chains, order, values, orders }) => {
    let count = 0
    for (const steps of interleavings<Step>(chains, order)) {
      const memory = createMemory<string>(10)
      const slow = slowRow<string>('old')
      const changes = values.map((to) => ({ to, forget: () => { memory.drop('key') } }))
      const { final, late } = await run(steps, slow, () => memory.get('key', () => slow.read()), changes)
      if (final !== values.at(-1) || late.some((each) => each !== values.at(-1))) expect({ steps, final, late }).toEqual({ steps, final: values.at(-1), late: [] })
      count += 1
    }
    expect(count).toBe(orders)
  })

  it('does not remember what was read across a clear', async () => {
    const memory = createMemory<string>(10)
    const slow = slowRow<string>('old')
    const reading = memory.get('key', () => slow.read())
    slow.reads[0]?.look()
    memory.clear()
    slow.reads[0]?.answer()
    expect(await reading).toBe('old')
    expect(memory.peek('key')).toBeUndefined()
  })

  it('hands a failure to all who wait for it, and reads anew', async () => {
    const memory = createMemory<string>(10)
    const failing = (): Promise<string> => Promise.reject(new Error('away'))
    const both = [memory.get('key', failing), memory.get('key', failing)]
    for (const each of both) await expect(each).rejects.toThrow('away')
    expect(await memory.get('key', () => Promise.resolve('there'))).toBe('there')
  })
})

describe('the catalogue reader', () => {
  const pool = new pg.Pool()
  const rows = createRows(pool, () => 'rm_1')
  afterAll(() => pool.end())
  const tag = parseTag('latest')
  const digest = (text: string): Digest => digestOf('sha256', Buffer.from(text))
  let number = 0

  /** Each order has a repository of its own, since a reader's memory is too large to make one for each. */
  function nextRepository(): RepositoryKey {
    number += 1
    return repositoryKey('11111111-1111-4111-8111-111111111111', `app-${number}`)
  }

  function recorded(fact: Fact, stream: string): Recorded {
    number += 1
    return { event: eventOf(fact), stream, revision: number, position: position('contract', number), hash: '' }
  }

  it.each([
    { name: 'assigned twice', values: ['b', 'c'] },
    { name: 'assigned and deleted', values: ['b', undefined] },
    { name: 'assigned, and its manifest deleted', values: ['b', 'manifest deleted'] },
  ])('never keeps an old tag that was $name', async ({ values }) => {
    if (tag === undefined) throw new Error('latest is a tag')
    let slow = slowRow<Digest>(digest('a'))
    const reader = createCatalogueReader(() => ({ ...catalogueQueries(rows), tag: () => slow.read() }))
    for (const steps of interleavings<Step>([FIRST, SECOND, ...CHANGES], ORDER)) {
      slow = slowRow<Digest>(digest('a'))
      const repository = nextRepository()
      const changes = values.map((value) => {
        const to = value === undefined || value === 'manifest deleted' ? undefined : digest(value)
        const fact =
          value === undefined ? TagDeleted({ tag, digest: digest('b') }) : to === undefined ? ManifestDeleted({ digest: digest('b') }) : TagAssigned({ tag, digest: to })
        return { to, forget: () => { reader.forget(recorded(fact, streams.repository(repository))) } }
      })
      const { final, late } = await run(steps, slow, () => reader.tag(repository, tag), changes)
      const newest = changes.at(-1)?.to
      if (final !== newest || late.some((each) => each !== newest)) expect({ steps, final, late }).toEqual({ steps, final: newest, late: [] })
    }
  })

  it('never keeps a manifest that is gone, nor misses one that came back', async () => {
    const row = { digest: digest('m'), mediaType: OCI_IMAGE_MANIFEST, sizeBytes: 7 }
    let slow = slowRow<typeof row>(row)
    const reader = createCatalogueReader(() => ({ ...catalogueQueries(rows), manifest: () => slow.read() }))
    for (const steps of interleavings<Step>([FIRST, SECOND, ...CHANGES], ORDER)) {
      slow = slowRow<typeof row>(row)
      const repository = nextRepository()
      const told = (fact: Fact) => () => { reader.forget(recorded(fact, streams.repository(repository))) }
      const gone = { to: undefined, forget: told(ManifestDeleted({ digest: row.digest })) }
      const back = { to: row, forget: told(ManifestPushed({ digest: row.digest, mediaType: row.mediaType, size: 7, references: [] })) }
      const { final } = await run(steps, slow, () => reader.manifest(repository, row.digest), [gone, back])
      if (final !== row) expect({ steps, final }).toEqual({ steps, final: row })
    }
  })

  it.each(['deleted', 'pushed again'])('never keeps a blob as it was before it was %s', async (end) => {
    let slow = slowRow<number>(7)
    const reader = createCatalogueReader(() => ({ ...catalogueQueries(rows), blob: () => slow.read() }))
    for (const steps of interleavings<Step>([FIRST, SECOND, ...CHANGES], ORDER)) {
      slow = slowRow<number>(7)
      const repository = nextRepository()
      const blob = digest('blob')
      const uploaded = recorded(BlobUploaded({ repository, digest: blob, size: 7 }), streams.upload('22222222-2222-4222-8222-222222222222'))
      const there = { to: 7, forget: () => { reader.forget(uploaded) } }
      const deleted = { to: undefined, forget: () => { reader.forget(recorded(BlobDeleted({ digest: blob }), streams.repository(repository))) } }
      const { final } = await run(steps, slow, () => reader.blob(repository, blob), end === 'deleted' ? [there, deleted] : [deleted, there])
      const newest = end === 'deleted' ? undefined : 7
      if (final !== newest) expect({ steps, final }).toEqual({ steps, final: newest })
    }
  })
})
