import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Address } from '../store/line.ts'

/*
 * The nodes of a cluster run on one machine and share a data folder. Each keeps a file there that says what it does, and writes it anew
 * all the time: a node that is frozen is told by a file that is old, and one that was killed by a port that nobody listens at any more.
 */

export type MemberState = 'starting' | 'unknown' | 'follower' | 'leader' | 'ending'

/** What a node says of itself; `term` is the last one that it knows, and `at` when it said so, in ms since 1970. */
export type MemberFile = { readonly id: string; readonly state: MemberState; readonly term: number; readonly at: number }

const memberFile = (folder: string, port: number): string => join(folder, `node-${port}.json`)

export function writeMember(folder: string, port: number, member: MemberFile): void {
  mkdirSync(folder, { recursive: true })
  const path = memberFile(folder, port)
  writeFileSync(`${path}.new`, JSON.stringify(member))
  renameSync(`${path}.new`, path)
}

/** Undefined for one that never said anything. */
export function readMember(folder: string, port: number): MemberFile | undefined {
  try {
    // Written whole by `writeMember`.
    return JSON.parse(readFileSync(memberFile(folder, port), 'utf8')) as MemberFile
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

const PROBE_MS = 200

/** Whether somebody listens at an address: a frozen process does, one that has ended does not. */
export function listens({ host, port }: Address): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host, port, timeout: PROBE_MS })
  const tell = (answer: boolean) => () => {
    socket.destroy()
    resolve(answer)
  }
  socket.once('connect', tell(true))
  socket.once('timeout', tell(true))
  socket.once('error', tell(false))
  return promise
}
