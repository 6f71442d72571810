import { crc32 } from 'node:zlib'
import type { LogRecord } from './record.ts'

/** Where a node can be reached. */
export type Address = { readonly host: string; readonly port: number }

/**
 * The first line of a term's file: who writes to it, and which bytes of an earlier term's file stand before it, which are all that the
 * writer of that one can have acknowledged.
 */
export type Header = {
  readonly term: number
  readonly leader: Address
  readonly after: { readonly term: number; readonly bytes: number } | undefined
}

export class DataFileError extends Error {
  override readonly name = 'DataFileError'
}

/** A line of a data file: a checksum of 8 hexadecimal digits, a space, JSON. One append is one line, so it is there whole or not at all. */
function line(content: unknown): string {
  const text = JSON.stringify(content)
  return `${checksum(text)} ${text}\n`
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}

export function headerLine(header: Header): string {
  return line(header)
}

export function recordsLine(records: readonly LogRecord[]): string {
  return line({ records: records.map(toPlain) })
}

function toPlain(record: LogRecord): object {
  const { kind, stream } = record
  const position = String(record.position)
  if (record.kind === 'empty') return { kind, stream, position }
  const { id, type, json } = record
  return {
    kind,
    stream,
    revision: String(record.revision),
    position,
    id,
    type,
    json,
    created: String(record.created),
    data: base64(record.data),
    metadata: base64(record.metadata),
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Whole lines, the bytes of each, and of all of them. */
export type Lines = { readonly contents: readonly unknown[]; readonly sizes: readonly number[]; readonly sizeBytes: number }

/** The whole lines that some bytes begin with; what follows is a line that was torn when its writer ended, or is being written. */
export function splitLines(bytes: Buffer): Lines {
  const contents: unknown[] = []
  const sizes: number[] = []
  let sizeBytes = 0
  for (;;) {
    const end = bytes.indexOf(0x0a, sizeBytes)
    const text = end === -1 ? undefined : bytes.toString('utf8', sizeBytes, end)
    if (text === undefined || text.slice(0, 8) !== checksum(text.slice(9))) return { contents, sizes, sizeBytes }
    contents.push(JSON.parse(text.slice(9)))
    sizes.push(end + 1 - sizeBytes)
    sizeBytes = end + 1
  }
}

export function parseHeader(content: unknown): Header {
  const { term, leader, after } = fields(content)
  const { host, port } = fields(leader)
  const header = { term: number(term), leader: { host: text(host), port: number(port) } }
  if (after === undefined) return { ...header, after: undefined }
  const from = fields(after)
  return { ...header, after: { term: number(from['term']), bytes: number(from['bytes']) } }
}

export function parseRecords(content: unknown): LogRecord[] {
  const { records } = fields(content)
  if (!Array.isArray(records)) throw new DataFileError('a line of a data file holds no records')
  return records.map((each) => parseRecord(fields(each)))
}

function parseRecord(plain: Fields): LogRecord {
  const stream = text(plain['stream'])
  const position = BigInt(text(plain['position']))
  if (plain['kind'] === 'empty') return { kind: 'empty', stream, position }
  if (plain['kind'] !== 'event') throw new DataFileError(`a record of an unknown kind: ${JSON.stringify(plain['kind'])}`)
  return {
    kind: 'event',
    stream,
    revision: BigInt(text(plain['revision'])),
    position,
    id: text(plain['id']),
    type: text(plain['type']),
    json: plain['json'] === true,
    created: BigInt(text(plain['created'])),
    data: Buffer.from(text(plain['data']), 'base64'),
    metadata: Buffer.from(text(plain['metadata']), 'base64'),
  }
}

type Fields = Readonly<Record<string, unknown>>

function fields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw new DataFileError('a data file holds something that is no object')
  return value as Fields
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new DataFileError('a data file lacks a text')
  return value
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new DataFileError('a data file lacks a number')
  return value
}
