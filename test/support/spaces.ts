import { randomBytes } from 'node:crypto'

/** An EventStoreDB of the user's own (`npm run test:eventstoredb`), on which every server that names no Postgres then keeps its log. */
export const LIVE_URL = process.env['VARVE_TEST_EVENTSTORE_URL']

/** The name of a space that nobody has used. On a server of the user's own it is told, since what is written there stays. */
export function newSpace(): string {
  const space = `t${randomBytes(5).toString('hex')}`
  if (LIVE_URL !== undefined) process.stderr.write(`space ${space}\n`)
  return space
}

/** The URL of an EventStoreDB with a space. */
export const inSpace = (url: string, space: string): string => `${url}${url.includes('?') ? '&' : '?'}space=${space}`
