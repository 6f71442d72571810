import { once } from 'node:events'
import { connect as connectTcp, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import { Client } from 'ldapts'
import { DirectoryFailure, connectionFailure, failureOf } from './failure.ts'
import type { LdapSettings } from './settings.ts'

/** One connection, encrypted if it is to be, on which nobody is bound yet. */
export type Connection = {
  readonly client: Client
  /** Says goodbye and closes. Whatever still waits for an answer fails. */
  end(): void
}

/**
 * The socket is opened here and handed to the client, which would otherwise bound neither the TLS handshake after StartTLS nor the whole
 * of a call, and would quietly connect again, without TLS, where a server that has taken StartTLS closes before the password is sent.
 */
export async function connect(settings: LdapSettings, signal: AbortSignal): Promise<Connection> {
  const { host, port, encrypted } = addressOf(settings.url)
  const tls: ConnectionOptions = {
    host,
    rejectUnauthorized: settings.verifyCertificate,
    // RFC 6066, 3: an address is no server name.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(settings.certificateAuthorities === undefined ? {} : { ca: settings.certificateAuthorities }),
  }
  const socket: Socket = encrypted ? connectTls({ ...tls, port }) : connectTcp({ host, port })
  const abort = (): void => {
    socket.destroy()
  }
  signal.addEventListener('abort', abort, { once: true })
  socket.once('close', () => {
    signal.removeEventListener('abort', abort)
  })
  try {
    await once(socket, encrypted ? 'secureConnect' : 'connect', { signal })
  } catch (error) {
    socket.destroy()
    throw connectionFailure(error)
  }
  // What breaks later is told by the operation that waits for an answer.
  socket.on('error', () => undefined)

  let given = false
  const createConnection = (): Socket => {
    if (given) throw new DirectoryFailure('cannot connect', 'closed by the directory')
    given = true
    return socket
  }
  // An encrypted socket is one like another to the client, whatever the scheme says.
  const client = new Client({ url: 'ldap://localhost', createConnection })
  if (settings.startTls && !encrypted) {
    try {
      await client.startTLS(tls)
    } catch (error) {
      socket.destroy()
      throw failureOf(error, 'StartTLS refused')
    }
  }
  const end = (): void => {
    void client
      .unbind()
      .catch(() => undefined)
      .finally(() => socket.destroy())
  }
  return { client, end }
}

/**
 * Makes the connection the search account's. What binding without a password would do is a login as nobody, which most servers grant (RFC
 * 4513, 5.1.2): it is never asked for.
 */
export async function bindSearchAccount({ client }: Connection, { searchDn, searchPassword }: LdapSettings): Promise<void> {
  // As nobody, and said so (RFC 4513, 5.1.1): the connection may have been a user's.
  if (searchDn !== '' && searchPassword === '') throw new DirectoryFailure('search account refused', 'no password')
  try {
    await client.bind(searchDn, searchDn === '' ? '' : searchPassword)
  } catch (error) {
    throw failureOf(error, 'search account refused')
  }
}

function addressOf(text: string): { readonly host: string; readonly port: number; readonly encrypted: boolean } {
  const url = URL.parse(text)
  if (url === null || !['ldap:', 'ldaps:'].includes(url.protocol) || url.hostname === '') throw new DirectoryFailure('URL not valid')
  const encrypted = url.protocol === 'ldaps:'
  const port = url.port === '' ? (encrypted ? 636 : 389) : Number(url.port)
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, encrypted }
}
