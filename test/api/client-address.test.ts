import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http'
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { clientAddress } from '../../src/api/client-address.ts'
import { loadConfig } from '../../src/config.ts'

const { trustedProxies } = loadConfig({ VARVE_TRUSTED_PROXIES: '127.0.0.0/8, 10.0.0.0/8, fd00::/8' })
const { trustedProxies: nobody } = loadConfig({})

let server: Server
let port: number
let seen: (request: IncomingMessage) => void

beforeAll(async () => {
  server = createServer((incoming, response) => {
    seen(incoming)
    response.end()
  }).listen({ host: '::', port: 0 })
  await once(server, 'listening')
  const address = server.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})

afterAll(() => {
  server.close()
})

/** A real request from a chosen local address, as the server saw it. */
const ask = async (headers: IncomingHttpHeaders, use: (request: IncomingMessage) => unknown, from = '127.0.0.1'): Promise<unknown> => {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  seen = (incoming) => { resolve(use(incoming)) }
  const outgoing = request({ host: from.includes(':') ? '::1' : '127.0.0.1', port, headers, localAddress: from, agent: false })
  outgoing.end()
  await once(outgoing, 'response')
  return promise
}

describe('who sends a request', () => {
  test.each<[string, IncomingHttpHeaders, string]>([
    ['nothing forwarded', {}, '127.0.0.1'],
    ['one proxy', { 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9'],
    ['what the client itself wrote, further left', { 'x-forwarded-for': '1.1.1.1, 203.0.113.9' }, '203.0.113.9'],
    ['two proxies', { 'x-forwarded-for': '1.1.1.1, 203.0.113.9, 10.0.0.2' }, '203.0.113.9'],
    ['proxies only', { 'x-forwarded-for': '10.0.0.3, 10.0.0.2' }, '10.0.0.3'],
    ['several headers', { 'x-forwarded-for': ['1.1.1.1', '203.0.113.9'] }, '203.0.113.9'],
    ['empty parts', { 'x-forwarded-for': ', 203.0.113.9,, ' }, '203.0.113.9'],
    ['ports', { 'x-forwarded-for': '203.0.113.9:1234, 10.0.0.2:80' }, '203.0.113.9'],
    ['IPv6', { 'x-forwarded-for': '2001:DB8:0:0::1, fd00::7' }, '2001:db8::1'],
    ['IPv6 with brackets and port', { 'x-forwarded-for': '[2001:db8::1]:9' }, '2001:db8::1'],
    ['IPv4 mapped into IPv6', { 'x-forwarded-for': '::ffff:203.0.113.9, ::FFFF:a00:2' }, '203.0.113.9'],
    ['a zone', { 'x-forwarded-for': 'fe80::1%eth0' }, 'fe80::1'],
    ['no address at all', { 'x-forwarded-for': 'unknown' }, '127.0.0.1'],
    ['no address behind one that is', { 'x-forwarded-for': '203.0.113.9, unknown, 10.0.0.2' }, '10.0.0.2'],
    ['an address that is none', { 'x-forwarded-for': '203.0.113.999' }, '127.0.0.1'],
    ['something more than an address', { 'x-forwarded-for': "203.0.113.9'; drop" }, '127.0.0.1'],
    ['Forwarded', { forwarded: 'for=192.0.2.43;proto=https;by=10.0.0.2' }, '192.0.2.43'],
    ['Forwarded through two', { forwarded: 'for=1.1.1.1, FOR="192.0.2.43:99" ; proto=http , for=10.0.0.4' }, '192.0.2.43'],
    ['Forwarded with IPv6', { forwarded: 'For="[2001:db8:cafe::17]:4711"' }, '2001:db8:cafe::17'],
    ['Forwarded with a hidden name', { forwarded: 'for=192.0.2.43, for=_hidden' }, '127.0.0.1'],
    ['Forwarded without a for', { forwarded: 'for=192.0.2.43, proto=http' }, '127.0.0.1'],
    ['Forwarded with commas in quotes', { forwarded: 'for=1.1.1.1;x="a, for=2.2.2.2", for=192.0.2.43' }, '192.0.2.43'],
    ['Forwarded whose quote swallows the proxy\'s part', { forwarded: 'for=1.1.1.1;x=", for=192.0.2.43' }, '127.0.0.1'],
    ['Forwarded whose quote ends in the proxy\'s part', { forwarded: 'for=1.1.1.1;x=", for="[2001:db8::1]"' }, '127.0.0.1'],
    ['both', { forwarded: 'for=1.1.1.1', 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9'],
  ])('%s', async (_, headers, address) => {
    expect(await ask(headers, (incoming) => clientAddress(incoming, trustedProxies))).toEqual({ address, peer: '127.0.0.1' })
  })

  test('a peer that is no proxy is believed nothing', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }
    expect(await ask(headers, (incoming) => clientAddress(incoming, nobody))).toEqual({ address: '127.0.0.1', peer: '127.0.0.1' })
    expect(await ask(headers, (incoming) => clientAddress(incoming, trustedProxies), '::1')).toEqual({ address: '::1', peer: '::1' })
  })

  test('a header made to be slow is read in no time', async () => {
    const headers = { forwarded: 'for="'.padEnd(15_000, '\\"') }
    const started = performance.now()
    expect(await ask(headers, (incoming) => clientAddress(incoming, trustedProxies))).toEqual({ address: '127.0.0.1', peer: '127.0.0.1' })
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  test('a run of spaces takes no longer than other bytes', () => {
    const headers = { forwarded: `for=203.0.113.9;${' '.repeat(75_000)}x` }
    const began = performance.now()
    expect(clientAddress({ headers, socket: { remoteAddress: '127.0.0.1' } }, trustedProxies)).toEqual({ address: '127.0.0.1', peer: '127.0.0.1' })
    // Some ms; it was 10 s.
    expect(performance.now() - began).toBeLessThan(5_000)
  })
})
