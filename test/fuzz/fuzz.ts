import { setTimeout as delay } from 'node:timers/promises'
import { seeded } from '../support/random.ts'
import type { Seeded } from '../support/random.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { openRaw, problemWith, wireClient } from '../support/wire.ts'
import type { Answer } from '../support/wire.ts'
import { MUTATIONS, ROUTES, validRequest } from './mutations.ts'
import type { Request, World } from './mutations.ts'

const WORKERS = 16
const PATIENCE_MS = 30_000
const MAX_PROBLEMS = 20

export type FuzzReport = {
  /** How many requests there were of each kind, and of each status among the answers. */
  readonly kinds: Readonly<Record<string, number>>
  readonly statuses: Readonly<Record<string, number>>
  readonly problems: readonly string[]
}

/** What goes to a raw socket: the pieces, one write each, and how it ends. */
type Raw = { readonly pieces: readonly (string | Buffer)[]; readonly end: 'wait' | 'half' | 'destroy'; readonly methods: readonly string[]; readonly exactly?: number }

const RAW: Readonly<Record<string, (request: Request, random: Seeded, next: () => Request) => Raw>> = {
  'pipelined': (request, random, next) => {
    const requests = [request, ...Array.from({ length: 1 + random.below(4) }, next)].map((each) => (each.method === 'HEAD' ? { ...each, method: 'GET' } : each))
    const pieces = requests.map((each, index) => written(each, index === requests.length - 1 ? ['Connection: close'] : []))
    return { pieces: [Buffer.concat(pieces)], end: 'wait', methods: requests.map(({ method }) => method), exactly: requests.length }
  },
  'a length that promises more': (request) => ({ pieces: [lied(request, (request.body?.length ?? 0) + 10)], end: 'half', methods: [request.method] }),
  'a length that promises less': (request) => ({ pieces: [lied(request, 1), 'xxxxxxxxxx\r\n\r\n'], end: 'half', methods: [request.method, request.method] }),
  'a length that is none': (request, random) => ({
    pieces: [written(request, [`Content-Length: ${random.pick(['-1', '+1', '1 1', '0x1', '1e3', '9'.repeat(30), '\u00ff', 'x'])}`], false)],
    end: 'half', methods: [request.method],
  }),
  'chunks that lie': (request, random) => ({
    pieces: [chunked(request, random.pick(['5\r\nab', 'zz\r\n', '2\r\nabc\r\n0\r\n\r\n', 'ffffffffffffffff1\r\na', '-1\r\n', '2;x="\r\nab\r\n0\r\n\r\n', '2\nab\n0\n\n', '0\r\nX: \u0000\r\n\r\n', '1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n']))],
    end: 'half', methods: [request.method],
  }),
  'chunks in pieces': (request) => {
    const body = request.body ?? Buffer.from('abc')
    const chunks = [...body.subarray(0, 20)].map((byte) => Buffer.concat([Buffer.from('1\r\n'), Buffer.from([byte]), Buffer.from('\r\n')]))
    return { pieces: [chunked(request, '', ['Connection: close']), ...chunks, '0\r\nX-Trailer: x\r\n\r\n'], end: 'wait', methods: [request.method], exactly: 1 }
  },
  'smuggled headers': (request, random) => {
    const inner = 'GET /v2/ HTTP/1.1\r\nHost: smuggled\r\n\r\n'
    const trick = random.pick([
      [`Content-Length: ${inner.length + 5}`, 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], ['Transfer-Encoding: xchunked'],
      ['Transfer-Encoding:\u000bchunked'], ['Transfer-Encoding : chunked'], ['Content-Length: 5', 'Content-Length: 6'], ['X: y\r\n Transfer-Encoding: chunked'], ['X: y\nTransfer-Encoding: chunked'], ['Content-Length: 5, 5'],
    ])
    return { pieces: [written({ ...request, body: undefined }, trick, false), `0\r\n\r\n${inner}`], end: 'half', methods: [request.method], exactly: 1 }
  },
  'half-closed': (request, random) => {
    const whole = written(request)
    return { pieces: [whole.subarray(0, random.below(whole.length + 1))], end: 'half', methods: [request.method] }
  },
  'cut off': (request, random) => {
    const whole = written(request)
    return { pieces: [whole.subarray(0, random.below(whole.length + 1))], end: 'destroy', methods: [request.method] }
  },
  'gone before the answer': (request) => ({ pieces: [written(request)], end: 'destroy', methods: [request.method] }),
  'spoilt lines': (request, random) => {
    const get = request.method === 'HEAD' ? { ...request, method: 'GET' } : request
    const whole = Buffer.from(written(get, ['Connection: close']))
    for (let times = 1 + random.below(3); times > 0; times -= 1) whole[random.below(Math.min(whole.length, 120))] = random.below(256)
    return { pieces: [whole], end: 'half', methods: [get.method] }
  },
  'letter by letter': (request) => {
    const whole = written(request, ['Connection: close'])
    const middle = Math.min(whole.length, 40)
    return { pieces: [...Array.from(whole.subarray(0, middle), (byte) => Buffer.from([byte])), whole.subarray(middle)], end: 'wait', methods: [request.method], exactly: 1 }
  },
  'waiting to be asked': (request) => ({ pieces: [written(request, ['Expect: 100-continue', 'Connection: close'])], end: 'wait', methods: [request.method], exactly: 1 }),
  'very many headers': (request, random) => ({
    pieces: [written(request, [...Array.from({ length: random.pick([100, 1_000, 3_000]) }, (_, index) => `X-${index}: ${'y'.repeat(random.pick([1, 50]))}`), 'Connection: close'])],
    end: 'half', methods: [request.method],
  }),
}

export const KINDS = [...Object.keys(MUTATIONS), ...Object.keys(RAW)]

let authorization = ''

function written({ method, path, query, headers, body }: Request, more: readonly string[] = [], length = true): Buffer {
  const target = query.length === 0 ? path : `${path}?${query.join('&')}`
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: x', `Authorization: ${authorization}`, ...headers.map(([key, value]) => `${key}: ${value}`), ...more]
  const sized = length && body !== undefined ? [...lines, `Content-Length: ${body.length}`] : lines
  return Buffer.concat([Buffer.from(`${sized.join('\r\n')}\r\n\r\n`, 'latin1'), body ?? Buffer.alloc(0)])
}

const lied = (request: Request, length: number): Buffer => written({ ...request, body: request.body ?? Buffer.from('ab') }, [`Content-Length: ${length}`], false)

function chunked(request: Request, chunks: string, more: readonly string[] = []): Buffer {
  return Buffer.concat([written({ ...request, body: undefined }, ['Transfer-Encoding: chunked', ...more]), Buffer.from(chunks, 'latin1')])
}

/** The answers in what came over a connection; a last one that is not whole is left out. */
function answersIn(received: string, methods: readonly string[]): Answer[] {
  const answers: Answer[] = []
  for (let rest = received; ; ) {
    const end = rest.indexOf('\r\n\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(rest)?.[1])
    if (end < 0) return answers
    if (Number.isNaN(status)) throw new Error(`no answer: ${rest.slice(0, 200)}`)
    const headers: Record<string, string> = {}
    for (const line of rest.slice(0, end).split('\r\n').slice(1)) {
      const colon = line.indexOf(':')
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    rest = rest.slice(end + 4)
    if (status < 200) continue
    const method = methods[answers.length] ?? 'GET'
    const length = method === 'HEAD' || status === 204 || status === 304 ? 0 : Number(headers['content-length'])
    if (rest.length < length) return answers
    answers.push({ status, headers, body: Buffer.from(rest.slice(0, length), 'latin1') })
    rest = rest.slice(length)
  }
}

/** Sends what the seed says to a server of its own, and answers all that was not as it should be. */
export async function fuzz(seed: number, requests: number): Promise<FuzzReport> {
  const server = await startVarve({ env: { VARVE_TRUSTED_PROXIES: '127.0.0.1' } })
  authorization = server.authorization
  const pid = server.pid
  const wire = wireClient(server)
  const kinds: Record<string, number> = {}
  const statuses: Record<string, number> = {}
  const problems: string[] = []
  const world = await settle(server)
  const uploads = [...world.uploads]

  function judge(kind: string, what: string, method: string, answer: Answer): void {
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
    const { location } = answer.headers
    if (answer.status === 202 && location?.includes('/blobs/uploads/') === true) {
      uploads.push(location)
      if (uploads.length > 50) uploads.shift()
    }
    const problem = problemWith(method, answer)
    if (problem !== undefined) problems.push(`${kind}: ${what}: ${problem}`)
  }

  async function once(index: number): Promise<void> {
    const random = seeded(seed + index * 7_919)
    const kind = KINDS[index % KINDS.length] ?? 'none'
    kinds[kind] = (kinds[kind] ?? 0) + 1
    const now: World = { ...world, uploads }
    const next = (): Request => validRequest(random.below(ROUTES), now, random)
    const valid = validRequest(Math.floor(index / KINDS.length), now, random)
    const mutation = MUTATIONS[kind]
    const raw = RAW[kind]
    if (mutation !== undefined) await polite(kind, mutation(valid, random, now))
    else if (raw !== undefined) await rude(kind, raw(valid, random, next))
  }

  async function polite(kind: string, request: Request): Promise<void> {
    const { method, path, query, headers, body } = request
    const target = query.length === 0 ? path : `${path}?${query.join('&')}`
    const what = `${method} ${target.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)} ${body?.toString('latin1').slice(0, 600) ?? ''}`
    try {
      judge(kind, what, method, await within(wire.ask(method, target, { headers: Object.fromEntries(headers), ...(body === undefined ? {} : { body }) })))
    } catch (error) {
      problems.push(`${kind}: ${what}: ${String(error)}`)
    }
  }

  async function rude(kind: string, { pieces, end, methods, exactly }: Raw): Promise<void> {
    const raw = openRaw(server)
    const what = pieces.map((piece) => piece.toString('latin1')).join('').replaceAll(authorization, '…').slice(0, 1_000)
    try {
      for (const piece of pieces) {
        raw.send(piece)
        if (pieces.length > 2) await delay(0)
      }
      if (end === 'destroy') {
        await delay(seeded(what.length).below(10))
        raw.socket.destroy()
        return
      }
      if (end === 'half') raw.socket.end()
      await within(raw.closed)
      const answers = answersIn(raw.received(), methods)
      for (const [index, answer] of answers.entries()) judge(kind, what, methods[index] ?? 'GET', answer)
      if (exactly !== undefined && end === 'wait' && answers.length !== exactly) problems.push(`${kind}: ${what}: ${answers.length} answers, not ${exactly}: ${raw.received().slice(0, 300)}`)
      if (exactly !== undefined && answers.length > exactly) problems.push(`${kind}: ${what}: ${answers.length} answers, a smuggled one among them`)
    } catch (error) {
      problems.push(`${kind}: ${what}: ${String(error)}`)
    } finally {
      raw.socket.destroy()
    }
  }

  try {
    let index = 0
    const work = async (): Promise<void> => {
      while (index < requests && problems.length < MAX_PROBLEMS) {
        index += 1
        await once(index - 1)
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, work))
    problems.push(...(await aftermath(server, pid)))
    return { kinds, statuses, problems: problems.slice(0, MAX_PROBLEMS) }
  } finally {
    wire.close()
    await server.stop()
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  const ended = new AbortController()
  const late = delay(PATIENCE_MS, undefined, { signal: ended.signal }).then(() => {
    throw new Error(`no answer in ${PATIENCE_MS} ms`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    ended.abort()
    late.catch(() => undefined)
  }
}

/** Something to ask for. */
async function settle(server: VarveServer): Promise<World> {
  const client = registryClient(server)
  const names = ['fuzz/a', 'fuzz/b', 'other/a', 'app']
  const tags = ['v1', 'v2', 'latest', 'never']
  const digests = [`sha256:${'1'.repeat(64)}`]
  const uploads: string[] = []
  for (const [index, name] of names.entries()) {
    const { digest, layerDigest, configDigest } = await client.pushImage(name, tags[index % 3] ?? '', Buffer.from(`layer ${index}`))
    digests.push(digest, layerDigest, configDigest)
    uploads.push((await client.call('POST', `/v2/${name}/blobs/uploads/`)).headers.get('location') ?? '')
  }
  const image = await client.pushImage('kept/a', 'v1', Buffer.alloc(100_000, 'layer'))
  digests.push(image.digest, image.layerDigest)
  const kept = [`/v2/kept/a/manifests/v1`, `/v2/kept/a/manifests/${image.digest}`, `/v2/kept/a/blobs/${image.layerDigest}`]
  return { names: [...names, 'fuzz/none'], tags, digests, uploads, kept }
}

/** Whether the server is what it was, and what it holds is right. */
async function aftermath(server: VarveServer, pid: number): Promise<string[]> {
  const problems: string[] = []
  const output = server.output()
  for (const line of output.split('\n')) if (/unhandled|"level":"(error|fatal)"/i.test(line)) problems.push(`the server said: ${line.slice(0, 1_000)}`)
  if (output.includes(server.password) || output.includes(server.authorization.slice(6))) problems.push('a secret stands in the output')
  if (server.pid !== pid) problems.push('the server was started anew')
  for (const path of ['/healthz', '/readyz']) {
    const { status } = await fetch(new URL(path, server.url))
    if (status !== 200) problems.push(`${path} answers ${status}`)
  }
  const { digest } = await registryClient(server).pushImage('fuzz/after', 'v1', Buffer.from('after'))
  if ((await registryClient(server).call('GET', `/v2/fuzz/after/manifests/${digest}`)).status !== 200) problems.push('a push is not pulled')
  for (const command of [['fsck'], ['rebuild', '--verify']]) {
    const { code, stdout, stderr } = await server.varve(...command)
    if (code !== 0) problems.push(`varve ${command.join(' ')} ended with ${String(code)}: ${stdout}${stderr}`.slice(0, 3_000))
  }
  return problems
}
