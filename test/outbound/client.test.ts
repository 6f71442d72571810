import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { BlockList } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { mayCall } from '../../src/outbound/addresses.ts'
import { createOutbound } from '../../src/outbound/client.ts'
import type { Outbound, OutboundRequest } from '../../src/outbound/client.ts'
import { ofClient, one, two } from '../support/certificates.ts'
import { closeServer, listen, loopback } from '../support/outbound.ts'

function serve(listener: RequestListener): Promise<number> {
  return listen(createServer(listener))
}

const none = new BlockList()
const open = createOutbound({ allowedNetworks: loopback })

const get = (outbound: Outbound, url: string, more: Partial<OutboundRequest> = {}): ReturnType<Outbound['send']> =>
  outbound.send({ method: 'GET', url, maxBytes: 1_000, timeoutMs: 10_000, ...more })

describe('an address', () => {
  const refused = [
    ...[
      '127.0.0.1',
      '10.1.2.3',
      '172.31.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.100.100.200',
      '168.63.129.16',
      '0.0.0.0',
      '255.255.255.255',
      '224.0.0.1',
    ],
    ...[
      '::1',
      '::',
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '64:ff9b::a9fe:a9fe',
      'fd00:ec2::254',
      'fe80::1',
      'ff02::1',
      '2002:7f00:1::',
      '2001:0:1::',
      'fe80::1%lo',
      'registry',
      '',
    ],
  ]
  it.each(refused)('%j is not called', (address) => {
    expect(mayCall(address, none)).toBe(false)
  })

  it.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1'])('%s is', (address) => {
    expect(mayCall(address, none)).toBe(true)
  })

  it('of an allowed network is, and its neighbour is not', () => {
    const allowed = new BlockList()
    allowed.addSubnet('10.1.0.0', 16, 'ipv4')
    allowed.addSubnet('fd00:1::', 32, 'ipv6')
    expect(['10.1.2.3', '::ffff:10.1.2.3', 'fd00:1::9'].map((address) => mayCall(address, allowed))).toEqual([true, true, true])
    expect(['10.2.0.1', '127.0.0.1', 'fd00:2::9', '169.254.169.254'].map((address) => mayCall(address, allowed))).toEqual([
      false,
      false,
      false,
      false,
    ])
  })
})

describe('a call', () => {
  it('is answered with status, headers and body', async () => {
    const port = await serve((request, response) => {
      response.writeHead(201, { 'X-One': '1' })
      request.pipe(response)
    })
    const answer = await get(open, `http://127.0.0.1:${port}/path`, { method: 'POST', body: 'hello' })
    expect(answer).toMatchObject({ kind: 'answer', status: 201, url: `http://127.0.0.1:${port}/path`, body: Buffer.from('hello') })
    expect(answer.kind === 'answer' && answer.headers).toContainEqual(['X-One', '1'])
  })

  it('reaches no private address that is not allowed, however it is written', async () => {
    let asked = 0
    const port = await serve((_request, response) => response.end(String(asked++)))
    const closed = createOutbound({ allowedNetworks: none })
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '[::1]', '0']) {
      expect([host, await get(closed, `http://${host}:${port}/`)]).toMatchObject([host, { kind: 'failure', reason: 'forbidden' }])
    }
    expect(asked).toBe(0)
  })

  it.each(['ftp://127.0.0.1/', 'file:///etc/passwd', 'http://name:secret@127.0.0.1/', 'no url'])('of %j is refused', async (url) => {
    const failure = await get(open, url)
    expect(failure).toMatchObject({ kind: 'failure', reason: 'url' })
    expect(JSON.stringify(failure)).not.toContain('secret')
  })

  it('dials the addresses that were checked, and asks for them once', async () => {
    let [asked, resolved] = [0, 0]
    const port = await serve((_request, response) => response.end(String(asked++)))
    // First a public address, then the own machine's: what a name does that is rebound after the check.
    const answers = [['203.0.113.7'], ['127.0.0.1']]
    const rebinding = createOutbound({ allowedNetworks: none, resolve: () => Promise.resolve(answers[resolved++] ?? []) })
    expect(await get(rebinding, `http://rebound.test:${port}/`)).toMatchObject({ kind: 'failure', reason: 'forbidden' })
    expect(resolved).toBe(1)

    const allowed = createOutbound({
      allowedNetworks: loopback,
      resolve: () => Promise.resolve([resolved++ === 1 ? '127.0.0.1' : '127.0.0.9']),
    })
    expect(await get(allowed, `http://rebound.test:${port}/`)).toMatchObject({ kind: 'answer', status: 200 })
    expect([resolved, asked]).toEqual([2, 1])
  })

  it('dials of several addresses only those that may be called', async () => {
    const port = await serve((request, response) => response.end(request.socket.localAddress))
    const mixed = createOutbound({
      allowedNetworks: loopback,
      resolve: () => Promise.resolve(['10.0.0.1', '169.254.169.254', '127.0.0.1']),
    })
    expect(await get(mixed, `http://mixed.test:${port}/`)).toMatchObject({ body: Buffer.from('127.0.0.1') })
  })

  it('fails in words where nobody is there', async () => {
    const gone = createServer()
    const port = await listen(gone)
    await closeServer(gone)
    expect(await get(open, `http://127.0.0.1:${port}/secret`)).toEqual({
      kind: 'failure',
      reason: 'unreachable',
      message: `127.0.0.1:${port} cannot be reached (ECONNREFUSED)`,
    })
    const unknown = createOutbound({
      allowedNetworks: none,
      resolve: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    })
    expect(await get(unknown, 'https://nowhere.test/')).toMatchObject({
      reason: 'name',
      message: 'The address of nowhere.test cannot be found (ENOTFOUND)',
    })
    const empty = createOutbound({ allowedNetworks: none, resolve: () => Promise.resolve([]) })
    expect(await get(empty, 'https://empty.test/')).toMatchObject({ reason: 'name' })
  })
})

describe('a body', () => {
  it('of the largest size is taken; one byte more ends the connection', async () => {
    const port = await serve((request, response) => response.end('a'.repeat(Number(request.url?.slice(1)))))
    expect(await get(open, `http://127.0.0.1:${port}/1000`)).toMatchObject({ kind: 'answer' })
    expect(await get(open, `http://127.0.0.1:${port}/1001`)).toMatchObject({ kind: 'failure', reason: 'too-large' })
  })

  it('without end is not read to its end', async () => {
    let written = 0
    const ended = Promise.withResolvers()
    const port = await serve((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) written += 65_536
      }
      response.on('drain', more).on('close', ended.resolve)
      more()
    })
    expect(await get(open, `http://127.0.0.1:${port}/`)).toMatchObject({ reason: 'too-large' })
    await ended.promise
    expect(written).toBeLessThan(100_000_000)
  })

  it('that does not come, or comes a byte at a time, is not waited for', async () => {
    const closed: Promise<unknown>[] = []
    const port = await serve((request, response) => {
      const end = Promise.withResolvers()
      closed.push(end.promise)
      response.on('close', end.resolve)
      if (request.url === '/silent') return
      const drip = setInterval(() => response.write('a'), 20)
      response.on('close', () => {
        clearInterval(drip)
      })
    })
    for (const path of ['silent', 'drip']) {
      expect(await get(open, `http://127.0.0.1:${port}/${path}`, { timeoutMs: 300 })).toMatchObject({ kind: 'failure', reason: 'timeout' })
    }
    const controller = new AbortController()
    const call = get(open, `http://127.0.0.1:${port}/silent`, { signal: controller.signal })
    controller.abort()
    expect(await call).toMatchObject({ kind: 'failure', reason: 'aborted' })
    await Promise.all(closed)
  })

  it('is not waited for where the name service is silent', async () => {
    const silent = createOutbound({ allowedNetworks: none, resolve: () => Promise.withResolvers<string[]>().promise })
    expect(await get(silent, 'https://silent.test/', { timeoutMs: 100 })).toMatchObject({ kind: 'failure', reason: 'timeout' })
  })

  it('that breaks off is a failure', async () => {
    const port = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': 100 })
      response.write('half', () => response.destroy())
    })
    expect(await get(open, `http://127.0.0.1:${port}/`)).toMatchObject({ kind: 'failure', reason: 'unreachable' })
  })
})

describe('a redirect', () => {
  const seen: { url: string | undefined; authorization: string | undefined; accept: string | undefined }[] = []
  const note: RequestListener = ({ url, headers: { authorization, accept } }) => {
    seen.push({ url, authorization, accept })
  }
  const calls = { headers: { Accept: 'text/plain' }, credentials: { Authorization: 'Bearer secret' }, redirects: 3 }
  const redirecting = (to: () => string): Promise<number> =>
    serve((request, response) => {
      note(request, response)
      if (request.url === '/end') response.end('end')
      else response.writeHead(302, { Location: request.url === '/here' ? '/end' : to() }).end()
    })

  it('is followed as often as wanted, and is the answer otherwise', async () => {
    const port = await redirecting(() => '/loop')
    expect(await get(open, `http://127.0.0.1:${port}/here`, calls)).toMatchObject({ status: 200, url: `http://127.0.0.1:${port}/end` })
    expect(await get(open, `http://127.0.0.1:${port}/here`)).toMatchObject({ status: 302 })
    expect(await get(open, `http://127.0.0.1:${port}/here`, { ...calls, method: 'POST', body: 'secret' })).toMatchObject({ status: 302 })
    expect(await get(open, `http://127.0.0.1:${port}/loop`, calls)).toMatchObject({ kind: 'failure', reason: 'redirect' })
  })

  it('to another host takes no credentials along, nor back', async () => {
    let back = ''
    const elsewhere = await redirecting(() => back)
    const port = await redirecting(() => `http://localhost:${elsewhere}/back`)
    back = `http://127.0.0.1:${port}/end`
    seen.length = 0
    expect(await get(open, `http://127.0.0.1:${port}/away`, calls)).toMatchObject({ status: 200 })
    expect(seen).toEqual([
      { url: '/away', authorization: 'Bearer secret', accept: 'text/plain' },
      { url: '/back', authorization: undefined, accept: 'text/plain' },
      { url: '/end', authorization: undefined, accept: 'text/plain' },
    ])
    seen.length = 0
    await get(open, `http://127.0.0.1:${port}/here`, calls)
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer secret', 'Bearer secret'])
  })

  it.each(['http://10.0.0.1/', 'http://169.254.169.254/latest/meta-data', 'http://[::1]/', 'http://internal.test/'])(
    'to %s is checked anew',
    async (target) => {
      const port = await redirecting(() => target)
      const allowed = new BlockList()
      allowed.addAddress('127.0.0.1', 'ipv4')
      const some = createOutbound({ allowedNetworks: allowed, resolve: () => Promise.resolve(['192.168.7.7']) })
      expect(await get(some, `http://127.0.0.1:${port}/away`, calls)).toMatchObject({ kind: 'failure', reason: 'forbidden' })
    },
  )

  it.each(['file:///etc/passwd', 'http://user:secret@127.0.0.1/', 'http://'])('to %j is refused', async (target) => {
    const port = await redirecting(() => target)
    expect(await get(open, `http://127.0.0.1:${port}/away`, calls)).toMatchObject({ kind: 'failure', reason: 'redirect' })
  })

  it('from https to http is refused', async () => {
    const server = createHttpsServer(one, (_request, response) => response.writeHead(307, { Location: 'http://127.0.0.1/' }).end())
    const port = await listen(server)
    expect(await get(open, `https://127.0.0.1:${port}/`, { ...calls, verifyCertificate: false })).toMatchObject({ reason: 'redirect' })
  })
})

describe('a certificate', () => {
  const answering = (pair: typeof one): Promise<number> => listen(createHttpsServer(pair, (_request, response) => response.end('here')))
  const trusting = createOutbound({ allowedNetworks: loopback, authorities: one.cert })

  it('is checked against the authorities given, for the name called', async () => {
    const port = await answering(one)
    expect(await get(trusting, `https://localhost:${port}/`)).toMatchObject({ status: 200 })
    expect(await get(trusting, `https://127.0.0.1:${port}/`)).toMatchObject({ status: 200 })
    expect(await get(open, `https://localhost:${port}/`)).toMatchObject({ kind: 'failure', reason: 'certificate' })
    expect(await get(open, `https://localhost:${port}/`, { verifyCertificate: false })).toMatchObject({ status: 200 })
    const renamed = createOutbound({ allowedNetworks: loopback, authorities: one.cert, resolve: () => Promise.resolve(['127.0.0.1']) })
    expect(await get(renamed, `https://other.test:${port}/`)).toMatchObject({ kind: 'failure', reason: 'certificate' })
  })

  it('of another authority is refused', async () => {
    expect(await get(trusting, `https://127.0.0.1:${await answering(two)}/`)).toMatchObject({ kind: 'failure', reason: 'certificate' })
  })

  it('that is for another purpose is refused', async () => {
    const outbound = createOutbound({ allowedNetworks: loopback, authorities: ofClient.cert })
    const refused = await get(outbound, `https://localhost:${await answering(ofClient)}/`)
    expect(refused).toMatchObject({ kind: 'failure', reason: 'certificate' })
    expect(refused).toHaveProperty('message', expect.stringContaining('INVALID_PURPOSE'))
  })

  it('is not blamed where whoever answers speaks no TLS', async () => {
    const port = await serve((_request, response) => response.end('here'))
    expect(await get(open, `https://127.0.0.1:${port}/`)).toMatchObject({ kind: 'failure', reason: 'unreachable' })
  })
})
