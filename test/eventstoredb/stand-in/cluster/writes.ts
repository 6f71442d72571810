import type { WriteResult } from '../calls.ts'
import type { Expected } from '../store/expected.ts'
import type { ProposedEvent } from '../store/record.ts'
import type { Write } from '../store/writer.ts'

/** How a write goes from one node to another, and what came of it back: as JSON, numbers of 64 bits as texts, bytes in base64. */

export type OwnResult = Exclude<WriteResult, { kind: 'lost' }>

type PlainEvent = Omit<ProposedEvent, 'data' | 'metadata'> & { readonly data: string; readonly metadata: string }
type PlainExpected = { readonly kind: 'any' } | { readonly kind: 'exists' } | { readonly kind: 'revision'; readonly revision: string }
type PlainWrite =
  | { readonly kind: 'append'; readonly stream: string; readonly expected: PlainExpected; readonly events: readonly PlainEvent[] }
  | { readonly kind: 'delete'; readonly stream: string; readonly expected: PlainExpected; readonly forGood: boolean }

export function plainWrite(write: Write): PlainWrite {
  const { expected } = write
  const plain: PlainExpected = expected.kind === 'revision' ? { kind: 'revision', revision: String(expected.revision) } : expected
  return write.kind === 'append' ? { ...write, expected: plain, events: write.events.map(plainEvent) } : { ...write, expected: plain }
}

function plainEvent({ data, metadata, ...rest }: ProposedEvent): PlainEvent {
  return { ...rest, data: Buffer.from(data).toString('base64'), metadata: Buffer.from(metadata).toString('base64') }
}

/** Of what `plainWrite` made; only nodes send it. */
export function parseWrite(value: unknown): Write {
  const write = value as PlainWrite
  const { expected } = write
  const parsed: Expected = expected.kind === 'revision' ? { kind: 'revision', revision: BigInt(expected.revision) } : expected
  if (write.kind === 'delete') return { ...write, expected: parsed }
  const events = write.events.map(({ data, metadata, ...rest }) => ({
    ...rest,
    data: Buffer.from(data, 'base64'),
    metadata: Buffer.from(metadata, 'base64'),
  }))
  return { ...write, expected: parsed, events }
}

type PlainResult =
  | Exclude<OwnResult, { kind: 'done' | 'wrong-revision' }>
  | { readonly kind: 'done'; readonly revision: string; readonly position: string }
  | { readonly kind: 'wrong-revision'; readonly current: string }

export function plainWriteResult(result: OwnResult): PlainResult {
  if (result.kind === 'done') return { kind: 'done', revision: String(result.revision), position: String(result.position) }
  if (result.kind === 'wrong-revision') return { kind: 'wrong-revision', current: String(result.current) }
  return result
}

/** Of what `plainWriteResult` made; only nodes send it. */
export function parseWriteResult(value: unknown): OwnResult {
  const result = value as PlainResult
  if (result.kind === 'done') return { kind: 'done', revision: BigInt(result.revision), position: BigInt(result.position) }
  if (result.kind === 'wrong-revision') return { kind: 'wrong-revision', current: BigInt(result.current) }
  return result
}
