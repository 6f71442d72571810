import type { BlockList } from 'node:net'
import { isIP } from 'node:net'
import type { RequestHead } from './request-head.ts'

/** `peer` is who holds the connection; `address` is whom the trusted proxies say it speaks for. The same where there are none. */
export type ClientAddress = { readonly address: string; readonly peer: string }

/** One spelling an address: no zone, IPv6 as RFC 5952 writes it, IPv4 never mapped into IPv6. Undefined: no address. */
function canonical(text: string): string | undefined {
  const [address = ''] = text.split('%')
  const version = isIP(address)
  if (version !== 6) return version === 4 ? address : undefined
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short)
  if (mapped === null) return short
  return [mapped[1], mapped[2]].map((half) => parseInt(half ?? '', 16)).flatMap((half) => [half >> 8, half & 255]).join('.')
}

/** An address, alone or with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`. */
function parseHop(text: string): string | undefined {
  const [, bracketed, v4] = /^(?:\[([^[\]]+)\]|([0-9.]+))(?::[0-9]{1,5})?$/.exec(text) ?? []
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? canonical(bracketed) : undefined
  return canonical(v4 ?? text)
}

/**
 * The `for` of each element of a Forwarded header (RFC 7239), in order; undefined where an element has none that is an address.
 * A header with a quote that does not end says nothing at all: a client's open quote would swallow what the proxy wrote after it.
 */
function forwardedHops(header: string): (string | undefined)[] {
  const hops: (string | undefined)[] = []
  let hop: string | undefined
  let position = 0
  // All spaces go before a pair, never some before and some behind it: to try each way to share out 70,000 of them takes 10 s.
  const pair = /[ \t]*(?![ \t])(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;=]*)))?[ \t]*(;|,|$)/y
  for (;;) {
    pair.lastIndex = position
    const found = pair.exec(header)
    if (found === null) return []
    const [, name, quoted, token, end] = found
    if (name?.toLowerCase() === 'for') hop = parseHop(quoted?.replace(/\\(.)/g, '$1') ?? token ?? '')
    position = pair.lastIndex
    if (end === ';') continue
    hops.push(hop)
    hop = undefined
    if (end === '') return hops
  }
}

function hopsOf(header: string | string[], parse: (text: string) => (string | undefined)[]): (string | undefined)[] {
  return parse(typeof header === 'string' ? header : header.join(','))
}

function listed(header: string): (string | undefined)[] {
  return header.split(',').map((part) => part.trim()).filter((part) => part !== '').map(parseHop)
}

/**
 * Who sends a request. Each proxy appends the address it was called from, so the list is read from the right, and only for as long as
 * the address that wrote an entry is trusted: what stands further left may be the client's own invention. An entry that is no address
 * ends the reading. X-Forwarded-For counts before Forwarded, which most proxies pass on as the client sent it.
 */
export function clientAddress(request: RequestHead, trustedProxies: BlockList): ClientAddress {
  const remote = request.socket.remoteAddress ?? ''
  const peer = canonical(remote) ?? remote
  const plain = request.headers['x-forwarded-for']
  const { forwarded } = request.headers
  const trusted = (address: string): boolean => isIP(address) !== 0 && trustedProxies.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  if ((plain === undefined && forwarded === undefined) || !trusted(peer)) return { address: peer, peer }

  const hops = plain === undefined ? hopsOf(forwarded ?? '', forwardedHops) : hopsOf(plain, listed)
  let address = peer
  for (const hop of hops.reverse()) {
    if (hop === undefined || !trusted(address)) break
    address = hop
  }
  return { address, peer }
}
