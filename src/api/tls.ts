import { readFile, stat } from 'node:fs/promises'
import type { RequestListener, Server, ServerOptions } from 'node:http'
import { createServer } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { ServerLog } from './server-log.ts'

type TlsFiles = { readonly certFile: string; readonly keyFile: string }
type TlsParts = { readonly cert: Buffer; readonly key: Buffer }

const TLS_POLL_MS = 1_000
const OPTIONS = { minVersion: 'TLSv1.2' } as const

/** A server for HTTPS with the certificate and key of two files, which are read again when they change, until `stopFollowing`. */
export async function createTlsServer(
  files: TlsFiles, settings: ServerOptions, answer: RequestListener, log: ServerLog,
): Promise<{ readonly server: Server; readonly stopFollowing: () => void }> {
  const first = await version(files).catch((error: unknown) => {
    throw new Error(`VARVE_TLS_CERT, VARVE_TLS_KEY: ${String(error)}`, { cause: error })
  })
  const parts = await secureParts(files).catch((error: unknown) => {
    throw new Error(`VARVE_TLS_CERT, VARVE_TLS_KEY: the pair cannot be used: ${String(error)}`, { cause: error })
  })
  const server = createServer({ ...settings, ...OPTIONS, ...parts }, answer)
  const use = (next: TlsParts): void => {
    server.setSecureContext({ ...OPTIONS, ...next })
  }
  const follower = followTlsFiles(files, first, use, log)
  return { server, stopFollowing: () => { clearInterval(follower) } }
}

async function secureParts({ certFile, keyFile }: TlsFiles): Promise<TlsParts> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)])
  // Throws where they are no certificate and no key, or do not belong together.
  createSecureContext({ cert, key })
  return { cert, key }
}

/** Changes when one of the files is written or replaced, also behind a symbolic link, as Kubernetes does it. */
async function version(files: TlsFiles): Promise<string> {
  const found = await Promise.all([files.certFile, files.keyFile].map((file) => stat(file, { bigint: true })))
  return found.map(({ ino, mtimeNs, size }) => `${ino} ${mtimeNs} ${size}`).join(' ')
}

/** Calls `use` with each new pair that is whole; a bad one is logged once and the old stays. */
function followTlsFiles(
  files: TlsFiles,
  first: string,
  use: (parts: TlsParts) => void,
  log: ServerLog,
): NodeJS.Timeout {
  let seen = first
  let busy = false
  async function look(): Promise<void> {
    // Before the reading: a change in between is then seen the next time.
    const now = await version(files).catch((error: unknown) => String(error))
    if (now === seen) return
    seen = now
    try {
      use(await secureParts(files))
      log.info({ certFile: files.certFile }, 'the TLS certificate was read again')
    } catch (error: unknown) {
      log.warn({ err: error, certFile: files.certFile }, 'the new TLS certificate and key cannot be used; the old ones stay')
    }
  }
  return setInterval(() => {
    if (busy) return
    busy = true
    void look().finally(() => {
      busy = false
    })
  }, TLS_POLL_MS).unref()
}
