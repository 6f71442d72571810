import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { headerLine, parseHeader, splitLines } from './line.ts'
import type { Header } from './line.ts'

/*
 * A data folder holds a file for each term, that is, for each time that a process began to write. The next term's file is made before
 * it is decided where the last one's ends, and a writer acknowledges nothing unless, after its write is on the disk, there is no later
 * file: so whatever was acknowledged stands before the cut, and whatever a writer adds that slept through its deposition does not count.
 */

const NAME = /^term-(\d{6,})\.log$/

export function termFile(folder: string, term: number): string {
  return join(folder, `term-${String(term).padStart(6, '0')}.log`)
}

/** The numbers of a folder's terms, the last one first. One without a header, so without records, is among them. */
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

/** A part of the log: the whole lines of a term's file up to a size, its header left out. */
export type Segment = { readonly term: number; readonly contents: readonly unknown[]; readonly sizeBytes: number }

/** The whole log of a folder, in order: the last term that has a header, and before it what that header says, and so on. */
export function readSegments(folder: string): Segment[] {
  const segments: Segment[] = []
  let next = lastWithHeader(folder)
  while (next !== undefined) {
    const { header, contents, sizeBytes } = readTerm(folder, next.term, next.bytes)
    segments.unshift({ term: next.term, contents, sizeBytes })
    next = header.after
  }
  return segments
}

function lastWithHeader(folder: string): { readonly term: number; readonly bytes: number } | undefined {
  for (const term of termsIn(folder)) {
    const { contents, sizeBytes } = splitLines(readFileSync(termFile(folder, term)))
    if (contents.length > 0) return { term, bytes: sizeBytes }
  }
  return undefined
}

function readTerm(folder: string, term: number, bytes: number): { header: Header; contents: readonly unknown[]; sizeBytes: number } {
  const { contents, sizeBytes } = splitLines(readFileSync(termFile(folder, term)).subarray(0, bytes))
  return { header: parseHeader(contents[0]), contents: contents.slice(1), sizeBytes }
}

/** The right to write: a file of its own, to which lines are added. */
export type Term = {
  readonly number: number
  /** The log as it stood when the term began. */
  readonly segments: readonly Segment[]
  /** Adds lines, and resolves once they are on the disk: to whether the term still stood then. If not, nothing may be acknowledged. */
  write(lines: string): Promise<boolean>
  close(): Promise<void>
}

/** Begins a term, or resolves to undefined where another process began it first. */
export async function beginTerm(folder: string): Promise<Term | undefined> {
  await mkdir(folder, { recursive: true })
  const number = (termsIn(folder)[0] ?? 0) + 1
  const file = await openNew(termFile(folder, number))
  if (file === undefined) return undefined
  await syncFolder(folder)
  const segments = readSegments(folder)
  const last = segments.at(-1)

  const write = async (lines: string): Promise<boolean> => {
    await file.writeFile(lines)
    await file.datasync()
    return !isSuperseded(folder, number)
  }

  await write(headerLine({ term: number, after: last === undefined ? undefined : { term: last.term, bytes: last.sizeBytes } }))
  return { number, segments, write, close: () => file.close() }
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
