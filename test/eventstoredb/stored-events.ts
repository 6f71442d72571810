import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

/** An event as it stands in the stand-in's files. */
export type StoredEvent = {
  readonly stream: string
  readonly revision: bigint
  readonly id: string
  readonly type: string
  readonly position: bigint
  readonly data: Buffer
  /** Of data and metadata together. */
  readonly sizeBytes: number
}

/*
 * Reads a data folder of the stand-in without a line of the stand-in's code, so that what was acknowledged is counted by somebody else.
 * A folder holds files `term-<number>.log`; a line is a checksum and JSON. A file's first line says which bytes of which earlier file
 * stand before it, `after`, and each other line holds the `records` of one append. A line that is not whole, and what follows it, does
 * not count.
 */

type Line = {
  readonly after?: { readonly term: number; readonly bytes: number }
  readonly records?: readonly Stored[]
}

type Stored = { readonly [Name in 'kind' | 'stream' | 'revision' | 'id' | 'type' | 'position' | 'data' | 'metadata']: string }

/** All events of a folder in the order of the log. */
export function storedEvents(folder: string): StoredEvent[] {
  const files = readdirSync(folder)
    .filter((name) => name.startsWith('term-'))
    .sort()
  let [name, bytes] = [files.findLast((each) => wholeLines(join(folder, each), Infinity).length > 0), Infinity]
  const events: StoredEvent[] = []
  while (name !== undefined) {
    const [header, ...appends] = wholeLines(join(folder, name), bytes)
    const records = appends.flatMap((line) => line.records ?? []).filter(({ kind }) => kind === 'event')
    events.unshift(...records.map(stored))
    const after = header?.after
    name = after === undefined ? undefined : files.find((each) => Number(/\d+/.exec(each)?.[0]) === after.term)
    bytes = after?.bytes ?? 0
  }
  return events
}

function stored({ stream, revision, id, type, position, data, metadata }: Stored): StoredEvent {
  const [bytes, more] = [Buffer.from(data, 'base64'), Buffer.from(metadata, 'base64')]
  return { stream, revision: BigInt(revision), id, type, position: BigInt(position), data: bytes, sizeBytes: bytes.length + more.length }
}

function wholeLines(path: string, bytes: number): Line[] {
  const lines: Line[] = []
  const pieces = readFileSync(path).subarray(0, bytes).toString('utf8').split('\n')
  // What stands behind the last line break is no line.
  for (const piece of pieces.slice(0, -1)) {
    const text = piece.slice(9)
    if (parseInt(piece.slice(0, 8), 16) !== crc32(text)) break
    lines.push(JSON.parse(text) as Line)
  }
  return lines
}
