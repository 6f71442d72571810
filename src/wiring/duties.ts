import type { Opened } from '../cli/opened.ts'
import type { StartedRegistry } from './registry.ts'
import type { Requesters } from './requesters.ts'
import type { TokenKeys } from './token-keys.ts'

/** An upload that nobody touched for this long is abandoned. */
const UPLOAD_LIFETIME_MS = 7 * 24 * 3_600_000
const PURGE_INTERVAL_MS = 3_600_000
/** Another process may have made a new pair: it signs an hour after. */
const ROTATION_INTERVAL_MS = 600_000

/** Does from time to time what no request asks for. */
export function startDuties(parts: {
  readonly opened: Opened
  readonly started: StartedRegistry
  readonly requesters: Requesters
  readonly tokenKeys: TokenKeys
}): { stop(): void } {
  const { opened: { blobs, logger }, started: { registry }, requesters: { sessionStore }, tokenKeys } = parts

  async function purge(): Promise<void> {
    const before = new Date(Date.now() - UPLOAD_LIFETIME_MS)
    const purged = await blobs.purgeUploads(before)
    for (const id of await registry.sessions.begunBefore(before)) {
      if ((await blobs.uploadSize(id)) === undefined) await registry.sessions.remove(id)
    }
    await sessionStore.removeEndedBefore(registry.now())
    if (purged > 0) logger.info({ purged }, 'abandoned uploads were purged')
  }

  function every(intervalMs: number, act: () => Promise<void>, failed: string): NodeJS.Timeout {
    return setInterval(() => {
      act().catch((error: unknown) => {
        logger.warn({ err: error }, failed)
      })
    }, intervalMs)
  }

  const timers = [
    every(PURGE_INTERVAL_MS, purge, 'abandoned uploads and sessions could not be purged; it is tried again'),
    every(ROTATION_INTERVAL_MS, () => tokenKeys.rotate(), 'the signing keys could not be looked at; it is tried again'),
  ]
  return {
    stop() {
      for (const timer of timers) clearInterval(timer)
    },
  }
}
