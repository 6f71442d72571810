/** What an append gives for one event. Revisions and positions are the server's own, so they are not known yet. */
export type ProposedEvent = {
  readonly id: string
  readonly type: string
  readonly json: boolean
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

/** An event in the log. `created` is in units of 100 ns since 1970. */
export type StoredEvent = ProposedEvent & {
  readonly kind: 'event'
  readonly stream: string
  readonly revision: bigint
  readonly position: bigint
  readonly created: bigint
}

/** What an append of no events leaves in the log: a place that reads pass over. */
export type EmptyRecord = { readonly kind: 'empty'; readonly stream: string; readonly position: bigint }

export type LogRecord = StoredEvent | EmptyRecord

/** The revision of a tombstone, and the `$tb` of a stream that is deleted but may come back: the largest signed 64-bit number. */
export const END_OF_STREAM = 9_223_372_036_854_775_807n
export const TOMBSTONE_TYPE = '$streamDeleted'
export const METADATA_TYPE = '$metadata'

/** What every record takes beside its names and bytes, as measured on the real server: the distance of two positions shows it. */
const FIXED_BYTES = 90n

/** The bytes between a record's position and that of the next one. */
export function sizeOnDisk(record: LogRecord): bigint {
  const stream = BigInt(Buffer.byteLength(record.stream))
  if (record.kind === 'empty') return FIXED_BYTES + stream
  return FIXED_BYTES + stream + BigInt(Buffer.byteLength(record.type) + record.data.length + record.metadata.length)
}

/** The part of an append's limit that an event takes. */
export function sizeInAppend(event: ProposedEvent): number {
  return event.data.length + event.metadata.length + event.type.length * 2
}

const TICKS_A_MILLISECOND = 10_000n

/** A time in ms since 1970, in units of 100 ns. */
export function ticks(timeMs: number): bigint {
  return BigInt(timeMs) * TICKS_A_MILLISECOND
}

export function isMetadataStream(stream: string): boolean {
  return stream.startsWith('$$')
}

/** The stream that holds the metadata of this one. */
export function metadataStreamOf(stream: string): string {
  return `$$${stream}`
}

/** The stream whose metadata a metadata stream holds. */
export function streamOfMetadata(metadataStream: string): string {
  return metadataStream.slice(2)
}
