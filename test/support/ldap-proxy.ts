import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { until } from './until.ts'

/** What a client asked for, as it stood on the wire. `encrypted` is told once a connection, and the last of it that can be read. */
export type LdapRequest =
  | { readonly kind: 'bind'; readonly dn: string }
  | {
      readonly kind: 'search'
      readonly base: string
      readonly scope: number
      readonly attributes: readonly string[]
      readonly bytes: number
    }
  | { readonly kind: 'extended' | 'unbind' | 'encrypted' | 'other' }

export type LdapProxy = {
  readonly port: number
  /** What was asked since the last call, in order, once every client has gone. */
  take(): Promise<LdapRequest[]>
  /** Has clients ask for one attribute where they ask for another. */
  rename(attribute: string, renamed: string): void
  stop(): void
}

/** Stands on 127.0.0.1 between a client and a real directory, and reads what is asked (RFC 4511, in BER). */
export async function startLdapProxy(target: { readonly host: string; readonly port: number }): Promise<LdapProxy> {
  const requests: LdapRequest[] = []
  const names = new Map<string, string>()
  const sockets = new Set<Socket>()
  let clients = 0

  const server = createServer((client) => {
    clients += 1
    const upstream = connect(target)
    let rest = Buffer.alloc(0)
    let encrypted = false
    client.on('data', (chunk: Buffer) => {
      if (encrypted) {
        upstream.write(chunk)
        return
      }
      rest = Buffer.concat([rest, chunk])
      encrypted = rest[0] !== SEQUENCE
      if (encrypted) {
        requests.push({ kind: 'encrypted' })
        upstream.write(rest)
        return
      }
      for (let message = elementAt(rest, 0); message !== undefined; message = elementAt(rest, 0)) {
        const { request, bytes } = readMessage(rest.subarray(0, message.end), names)
        requests.push(request)
        upstream.write(bytes)
        rest = rest.subarray(message.end)
      }
    })
    upstream.on('data', (bytes) => client.write(bytes))
    client.on('close', () => (clients -= 1))
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.end()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()

  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async take() {
      await until(() => clients === 0, 'the end of every connection')
      return requests.splice(0)
    },
    rename: (attribute, renamed) => {
      names.set(attribute, renamed)
    },
    stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const SEQUENCE = 0x30
const OCTET_STRING = 0x04

/** Of one element: its tag, where its content begins and ends. */
type Element = { readonly tag: number; readonly start: number; readonly end: number }

/** The element that begins at `offset`; undefined where not all of it is there. */
function elementAt(bytes: Buffer, offset: number): Element | undefined {
  const [tag, short] = [bytes[offset], bytes[offset + 1]]
  if (tag === undefined || short === undefined) return undefined
  const more = short < 0x80 ? 0 : short & 0x7f
  const start = offset + 2 + more
  if (bytes.length < start) return undefined
  const end = start + (more === 0 ? short : bytes.readUIntBE(offset + 2, more))
  return bytes.length < end ? undefined : { tag, start, end }
}

function elementsIn(bytes: Buffer, { start, end }: Pick<Element, 'start' | 'end'>): Element[] {
  const found: Element[] = []
  for (let at = start; at < end;) {
    const element = elementAt(bytes, at)
    if (element === undefined) throw new Error('an element goes beyond the one that holds it')
    found.push(element)
    at = element.end
  }
  return found
}

function encoded(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  const head = Buffer.from([tag, 0x84, 0, 0, 0, 0])
  head.writeUInt32BE(body.length, 2)
  return Buffer.concat([head, body])
}

/** One message, and its bytes with attributes named otherwise. */
function readMessage(bytes: Buffer, names: ReadonlyMap<string, string>): { readonly request: LdapRequest; readonly bytes: Buffer } {
  const [id, operation, ...controls] = elementsIn(bytes, elementsIn(bytes, { start: 0, end: bytes.length })[0] ?? { start: 0, end: 0 })
  if (id === undefined || operation === undefined) throw new Error('no LDAP message')
  const text = (element: Element | undefined): string => bytes.toString('utf8', element?.start ?? 0, element?.end ?? 0)
  if (operation.tag === 0x60) return { request: { kind: 'bind', dn: text(elementsIn(bytes, operation)[1]) }, bytes }
  if (operation.tag !== 0x63)
    return { request: { kind: operation.tag === 0x77 ? 'extended' : operation.tag === 0x42 ? 'unbind' : 'other' }, bytes }
  const parts = elementsIn(bytes, operation)
  const [base, scope, , , , , , list] = parts
  if (base === undefined || scope === undefined || list === undefined) throw new Error('no search request')
  const attributes = elementsIn(bytes, list).map(text)
  const request = { kind: 'search', base: text(base), scope: bytes[scope.start] ?? 0, attributes, bytes: bytes.length } as const
  if (!attributes.some((name) => names.has(name))) return { request, bytes }
  const renamed = attributes.map((name) => encoded(OCTET_STRING, Buffer.from(names.get(name) ?? name)))
  const before = bytes.subarray(operation.start, parts[6]?.end)
  const idBytes = bytes.subarray(id.start - 2, id.end)
  const controlBytes = bytes.subarray(operation.end, controls.at(-1)?.end ?? operation.end)
  return { request, bytes: encoded(SEQUENCE, idBytes, encoded(0x63, before, encoded(SEQUENCE, ...renamed)), controlBytes) }
}
