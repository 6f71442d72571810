import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What reads a connection's bytes. */
export type ByteReader = {
  /** Where the next bytes go; asked before each read. */
  memory(): Uint8Array
  /** Takes bytes that came. They are there until this returns; false stops reading until the socket is resumed. */
  take(bytes: Buffer): boolean
}

/**
 * Goes on with an accepted TCP connection as a new, paused socket that reads into memory of ours: the socket that a server makes has
 * new memory of 64 KiB for each read (docs/performance/push.md). Undefined where that cannot be: with TLS the socket is more than its
 * handle.
 *
 * `onread` is public, but a server has no such option, and the handle no public name: its private one stands here alone.
 */
export function readIntoOwnMemory(accepted: Socket, reader: ByteReader): Socket | undefined {
  const handle: unknown = accepted instanceof TLSSocket ? undefined : Reflect.get(accepted, '_handle')
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) return undefined
  Reflect.set(accepted, '_handle', null)
  accepted.destroy()
  const onread = {
    buffer: () => reader.memory(),
    callback: (count: number, { buffer, byteOffset }: Uint8Array) => reader.take(Buffer.from(buffer, byteOffset, count)),
  }
  const socket: unknown = Reflect.construct(Socket, [{ handle, allowHalfOpen: true, pauseOnCreate: true, onread }])
  if (!(socket instanceof Socket)) throw new Error('a socket is no Socket')
  return socket
}
