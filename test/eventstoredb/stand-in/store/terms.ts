import { closeSync, existsSync, fstatSync, openSync, readSync, readdirSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { headerLine, parseHeader, splitLines } from './line.ts'
import type { Address, Header } from './line.ts'

/*
 * A data folder holds a file for each term, that is, for each time that a process began to write. The next term's file is made before
 * it is decided where the last one's ends, and a writer acknowledges nothing unless, after its write is on the disk, there is no later
 * file: so whatever was acknowledged stands before the cut, and whatever a writer adds that slept through its deposition does not count.
 * A term without a header is one whose writer is still reading, or ended before it wrote anything.
 */

const NAME = /^term-(\d{6,})\.log$/
/** A header is shorter. */
const HEADER_BYTES = 1024

/** How far a reader has come: in which term's file, behind how many bytes. */
export type Cursor = { readonly term: number; readonly bytes: number }

export function termFile(folder: string, term: number): string {
  return join(folder, `term-${String(term).padStart(6, '0')}.log`)
}

/** The numbers of a folder's terms, the last one first, those without a header among them. */
export function termsIn(folder: string): number[] {
  return readdirSync(folder)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((one, other) => other - one)
}

/** Whether a term has been taken away from its writer. A later term's number is the next one at the least, and a file is never removed. */
export function isSuperseded(folder: string, term: number): boolean {
  return existsSync(termFile(folder, term + 1))
}

/** What stands behind a reader's place: lines in the order of the log, and the place behind them. */
export type News = { readonly contents: readonly unknown[]; readonly cursor: Cursor | undefined; readonly last: Header | undefined }

/**
 * Reads on. Undefined while it is not decided where the last file ends, because another term has begun meanwhile; `own` is the term of a
 * reader that decides that itself.
 */
export function readOn(folder: string, from: Cursor | undefined, own?: number): News | undefined {
  const terms = termsIn(folder)
  const chain = chainOf(folder, terms)
  const last = chain.at(-1)
  const contents: unknown[] = []
  let cursor = from
  for (const { header, headerBytes, end } of chain) {
    if (from !== undefined && header.term < from.term) continue
    const begin = header.term === from?.term ? from.bytes : headerBytes
    const lines = splitLines(readBytes(termFile(folder, header.term), begin, end))
    contents.push(...lines.contents)
    cursor = { term: header.term, bytes: begin + lines.sizeBytes }
  }
  // What was read stood before the cut only if no later term had begun by then.
  const [newest] = termsIn(folder)
  return newest === (own ?? last?.header.term) ? { contents, cursor, last: last?.header } : undefined
}

type Link = { readonly header: Header; readonly headerBytes: number; readonly end: number }

/** The terms that count, in order: the last one that has a header, before it the one that this says, and so on. */
function chainOf(folder: string, terms: readonly number[]): Link[] {
  const chain: Link[] = []
  let end = Infinity
  let next = terms.find((term) => headerOf(folder, term) !== undefined)
  while (next !== undefined) {
    const found = headerOf(folder, next)
    if (found === undefined) throw new Error(`term ${next} is built upon and has no header`)
    chain.unshift({ ...found, end })
    next = found.header.after?.term
    end = found.header.after?.bytes ?? 0
  }
  return chain
}

type Found = { readonly header: Header; readonly headerBytes: number }

/** The headers that were read, by the paths of their files: a header never changes. */
const headers = new Map<string, Found>()

function headerOf(folder: string, term: number): Found | undefined {
  const path = termFile(folder, term)
  const known = headers.get(path)
  if (known !== undefined) return known
  const { contents, sizes } = splitLines(readBytes(path, 0, HEADER_BYTES))
  if (contents[0] === undefined) return undefined
  const found = { header: parseHeader(contents[0]), headerBytes: sizes[0] ?? 0 }
  headers.set(path, found)
  return found
}

/** A file's bytes from one place to another, or to its end. */
function readBytes(path: string, begin: number, end: number): Buffer {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(Math.max(0, Math.min(end, fstatSync(file).size) - begin))
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, begin))
  } finally {
    closeSync(file)
  }
}

/** The right to write: a file of its own, to which lines are added. */
export type Term = {
  readonly number: number
  /** Where its file ends now. */
  readonly cursor: Cursor
  /** Whether the term still stands. */
  stands(): boolean
  /** Adds lines, and resolves once they are on the disk: to whether the term still stood then. If not, nothing may be acknowledged. */
  write(lines: string): Promise<boolean>
  close(): Promise<void>
}

/** A term that has begun, and what its writer had not read yet of the log before it. */
export type Begun = { readonly term: Term; readonly contents: readonly unknown[] }

/**
 * Begins a term for a process that has read up to `from`, or resolves to undefined where another begins one at the same time.
 * `announce` is called with the term's number before others can see that it has begun.
 */
export async function beginTerm(
  folder: string,
  from: Cursor | undefined,
  leader: Address,
  announce: (term: number) => void,
): Promise<Begun | undefined> {
  await mkdir(folder, { recursive: true })
  const number = (termsIn(folder)[0] ?? 0) + 1
  const file = await openNew(termFile(folder, number))
  if (file === undefined) return undefined
  await syncFolder(folder)
  const news = readOn(folder, from, number)
  if (news === undefined) {
    await file.close()
    return undefined
  }
  announce(number)
  let bytes = 0
  const stands = (): boolean => !isSuperseded(folder, number)
  const write = async (lines: string): Promise<boolean> => {
    await file.writeFile(lines)
    await file.datasync()
    bytes += Buffer.byteLength(lines)
    return stands()
  }
  await write(headerLine({ term: number, leader, after: news.cursor }))
  const term: Term = {
    number,
    get cursor() {
      return { term: number, bytes }
    },
    stands,
    write,
    close: () => file.close(),
  }
  return { term, contents: news.contents }
}

async function openNew(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'ax')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined
    throw error
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
