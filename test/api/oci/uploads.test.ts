import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { registryClient, sha256 } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { codeIn, exchangeRaw, openRaw, wireClient } from '../../support/wire.ts'
import type { Answer, Sent } from '../../support/wire.ts'

let server: VarveServer
let wire: ReturnType<typeof wireClient>

beforeAll(async () => {
  server = await startVarve()
  wire = wireClient(server)
})

afterAll(() => {
  wire.close()
})

const START = '/v2/p/app/blobs/uploads/'

/** Opens an upload and answers where it goes on. */
const begin = async (path = START): Promise<string> => {
  const { status, headers } = await wire.sound('POST', path)
  expect([status, headers.range]).toEqual([202, '0-0'])
  return headers.location ?? ''
}

const head = (line: string, ...headers: string[]): string => [`${line} HTTP/1.1`, 'Host: x', `Authorization: ${server.authorization}`, ...headers, '', ''].join('\r\n')

/** Status, code and what the upload says that it has. */
const said = ({ status, headers, body }: Answer): string =>
  [status, ...(status >= 400 ? [codeIn(body)] : []), ...(headers.range === undefined ? [] : [headers.range])].join(' ')

const patch = async (location: string, body: string | Buffer, range?: string): Promise<string> =>
  said(await wire.sound('PATCH', location, { body, headers: range === undefined ? {} : { 'Content-Range': range } }))
const close = async (location: string, content: string | Buffer, sent: Sent = {}): Promise<string> =>
  said(await wire.sound('PUT', `${location}?digest=${sha256(Buffer.from(content))}`, sent))
const has = async (location: string): Promise<string> => said(await wire.sound('GET', location))

const eventually = async (condition: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('waited 20 s in vain')
    await delay(10)
  }
}

describe('an upload', () => {
  test('in chunks', async () => {
    const location = await begin()
    expect(await patch(location, 'abc', '0-2')).toBe('202 0-2')
    expect(await has(location)).toBe('204 0-2')
    expect(await patch(location, 'def', 'bytes 3-5/*')).toBe('202 0-5')
    const ended = await wire.sound('PUT', `${location}?digest=${sha256(Buffer.from('abcdefg'))}`, { body: 'g', headers: { 'Content-Range': '6-6' } })
    expect(ended).toMatchObject({ status: 201, headers: { location: `/v2/p/app/blobs/${sha256(Buffer.from('abcdefg'))}`, 'docker-content-digest': sha256(Buffer.from('abcdefg')) } })
    expect((await wire.sound('GET', ended.headers.location ?? '')).body.toString()).toBe('abcdefg')
    for (const method of ['GET', 'PATCH', 'DELETE']) expect(await wire.asked(method, location)).toBe('404 BLOB_UPLOAD_UNKNOWN')
    expect(await close(location, 'abcdefg')).toBe('404 BLOB_UPLOAD_UNKNOWN')
  })

  test('as a stream, at once, and of nothing', async () => {
    const location = await begin()
    expect(said(await wire.sound('PATCH', location, { body: 'streamed', headers: { 'Transfer-Encoding': 'chunked' } }))).toBe('202 0-7')
    expect(await close(location, 'streamed')).toBe('201')
    expect(await wire.asked('POST', `${START}?digest=${sha256(Buffer.from('once'))}`, { body: 'once' })).toBe('201')
    expect(await wire.asked('POST', `${START}?digest=${sha256(Buffer.alloc(0))}`)).toBe('201')
    const empty = await begin()
    expect(await patch(empty, '')).toBe('202 0-0')
    expect(await close(empty, '')).toBe('201')
    expect(await wire.sound('GET', `/v2/p/app/blobs/${sha256(Buffer.alloc(0))}`)).toMatchObject({ status: 200, headers: { 'content-length': '0' } })
  })

  test('by sha512', async () => {
    const digest = `sha512:${createHash('sha512').update('long').digest('hex')}`
    expect(await wire.asked('POST', `${START}?digest-algorithm=md5`)).toBe('400 DIGEST_INVALID')
    expect(await wire.asked('POST', `${START}?digest-algorithm=`)).toBe('400 DIGEST_INVALID')
    const location = await begin(`${START}?digest-algorithm=sha512`)
    expect(await wire.asked('PUT', `${location}?digest=${digest}`, { body: 'long' })).toBe('201')
    expect((await wire.sound('GET', `/v2/p/app/blobs/${digest}`)).body.toString()).toBe('long')
    // The other one than was said works as well.
    expect(await wire.asked('PUT', `${await begin()}?digest=${digest}`, { body: 'long' })).toBe('201')
  })

  test.each(['0', '-1', '0-', 'abc', '2-1', '0-2, 3-5', 'bytes=0-2-3', '0x0-2', ' ', '0-2/x', '1e0-2', `0-${'9'.repeat(30)}`, '\u00ff0-2', 'items 0-2'])(
    'Content-Range %j is malformed',
    async (range) => {
      const location = await begin()
      expect(await patch(location, 'abc', range)).toBe('400 BLOB_UPLOAD_INVALID')
      expect(await has(location)).toBe('204 0-0')
    },
  )

  test('whose Content-Range contradicts its length takes nothing', async () => {
    const location = await begin()
    for (const range of ['0-1', '0-3', '0-99999999999']) expect(await patch(location, 'abc', range)).toBe('400 SIZE_INVALID')
    expect(await has(location)).toBe('204 0-0')
  })

  test('out of order is told where it goes on, and so is the last request', async () => {
    const location = await begin()
    expect(await patch(location, 'abc', '0-2')).toBe('202 0-2')
    for (const range of ['0-2', '2-4', '4-6', '100-102']) {
      expect(await patch(location, 'def', range)).toBe('416 BLOB_UPLOAD_INVALID 0-2')
      expect(await close(location, 'abcdef', { body: 'def', headers: { 'Content-Range': range } })).toBe('416 BLOB_UPLOAD_INVALID 0-2')
    }
    expect(await has(location)).toBe('204 0-2')
    expect(await patch(location, 'def', '3-5')).toBe('202 0-5')
    expect(await close(location, 'abcdef')).toBe('201')
  })

  test('with a wrong digest is no blob, and keeps its bytes; one without is told', async () => {
    const location = await begin()
    expect(await patch(location, 'abc')).toBe('202 0-2')
    expect(await close(location, 'other')).toBe('400 DIGEST_INVALID')
    expect(await wire.asked('PUT', location)).toBe('400 DIGEST_INVALID')
    expect(await wire.asked('PUT', `${location}?digest=`)).toBe('400 DIGEST_INVALID')
    expect(await wire.asked('HEAD', `/v2/p/app/blobs/${sha256(Buffer.from('other'))}`)).toBe('404')
    expect(await close(location, 'abc')).toBe('201')
  })

  test('in one request that fails leaves nothing behind', async () => {
    const before = await readdir(join(server.dataFolder, 'uploads'))
    expect(await wire.asked('POST', `${START}?digest=${sha256(Buffer.from('x'))}`, { body: 'y' })).toBe('400 DIGEST_INVALID')
    expect(await wire.asked('POST', `${START}?digest=${sha256(Buffer.from('x'))}`, { body: 'x', headers: { 'Content-Range': '5-5' } })).toBe('416 BLOB_UPLOAD_INVALID')
    const gone = openRaw(server)
    gone.send(`${head(`POST ${START}?digest=${sha256(Buffer.from('x'))}`, 'Content-Length: 5')}x`)
    await eventually(async () => (await readdir(join(server.dataFolder, 'uploads'))).length > before.length)
    gone.socket.destroy()
    await eventually(async () => (await readdir(join(server.dataFolder, 'uploads'))).length === before.length)
  })

  test('is cancelled', async () => {
    const location = await begin()
    await patch(location, 'abc')
    expect(await wire.asked('DELETE', location)).toBe('204')
    for (const method of ['DELETE', 'GET', 'PATCH']) expect(await wire.asked(method, location)).toBe('404 BLOB_UPLOAD_UNKNOWN')
    expect(await close(location, 'abc')).toBe('404 BLOB_UPLOAD_UNKNOWN')
  })

  test('is cancelled while somebody writes to it', async () => {
    const location = await begin()
    const writer = openRaw(server)
    writer.send(`${head(`PATCH ${location}`, 'Content-Length: 10')}abc`)
    await delay(100)
    expect(await wire.asked('DELETE', location)).toBe('204')
    expect(await writer.until(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1\.1 404 [^]*BLOB_UPLOAD_UNKNOWN/)
    writer.socket.destroy()
  })

  test('of another repository or project is unknown', async () => {
    const location = await begin()
    await begin('/v2/q/app/blobs/uploads/')
    await begin('/v2/p/other/blobs/uploads/')
    for (const name of ['p/other', 'q/app', 'p/nothing', 'nowhere/app', 'app']) {
      const elsewhere = location.replace('/p/app/', `/${name}/`)
      for (const method of ['GET', 'PATCH', 'DELETE']) expect(await wire.asked(method, elsewhere)).toBe('404 BLOB_UPLOAD_UNKNOWN')
      expect(await close(elsewhere, 'abc', { body: 'abc' })).toBe('404 BLOB_UPLOAD_UNKNOWN')
    }
    expect(await close(location, 'abc', { body: 'abc' })).toBe('201')
    const short = await begin('/v2/app/blobs/uploads/')
    expect(await patch(short.replace('/v2/app/', '/v2/library/app/'), 'abc')).toBe('202 0-2')
  })
})

describe('a body', () => {
  test('shorter than said keeps what came', async () => {
    const location = await begin()
    for (const [said, body, kept] of [
      ['Content-Length: 10', 'abc', '204 0-2'],
      ['Transfer-Encoding: chunked', '3\r\ndef\r\n5\r\ngh', '204 0-7'],
    ] as const) {
      const raw = openRaw(server)
      raw.send(`${head(`PATCH ${location}`, said)}${body}`)
      // What nobody has begun to read when the end comes is lost.
      await delay(200)
      raw.socket.end()
      await raw.closed
      expect(raw.received()).toMatch(/^HTTP\/1\.1 400 /)
      await eventually(async () => (await has(location)) === kept)
    }
    expect(await close(location, 'abcdefgh')).toBe('201')
  })

  test('longer than said is cut there, and the rest is no request', async () => {
    const location = await begin()
    const text = await exchangeRaw(server, `${head(`PATCH ${location}`, 'Content-Length: 3')}abcdef\r\n\r\n`)
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 202'])
    expect(text).toMatch(/Connection: close/)
    expect(await has(location)).toBe('204 0-2')
  })

  test('in chunks that lie ends the connection, and keeps what came', async () => {
    const location = await begin()
    const raw = openRaw(server)
    raw.send(`${head(`PATCH ${location}`, 'Transfer-Encoding: chunked')}3\r\nabc\r\n`)
    await delay(100)
    raw.send('zz\r\nx')
    await raw.closed
    expect(raw.received()).toMatch(/^HTTP\/1\.1 400 /)
    await eventually(async () => (await has(location)) === '204 0-2')
  })

  test('in chunks against its Content-Range is refused, and the upload says what it has', async () => {
    const location = await begin()
    const send = async (range: string, body: string): Promise<string> =>
      said(await wire.sound('PATCH', location, { body, headers: { 'Content-Range': range, 'Transfer-Encoding': 'chunked' } }))
    expect(await send('0-9', 'abc')).toBe('400 SIZE_INVALID')
    expect(await has(location)).toBe('204 0-2')
    expect(await send('3-4', 'defg')).toBe('400 SIZE_INVALID')
    expect(await has(location)).toMatch(/^204 0-[46]$/)
  })

  test('whose sender leaves in the middle is kept as far as it came, and goes on', async () => {
    const content = randomBytes(3_000_000)
    const location = await begin()
    const raw = openRaw(server)
    raw.send(head(`PATCH ${location}`, `Content-Length: ${content.length}`))
    raw.send(content.subarray(0, 1_000_000))
    await eventually(async () => (await has(location)) !== '204 0-0')
    raw.socket.resetAndDestroy()
    let offset = 0
    await eventually(async () => {
      offset = Number(/^204 0-(\d+)$/.exec(await has(location))?.[1]) + 1
      const again = await wire.sound('PATCH', location, { body: content.subarray(offset), headers: { 'Content-Range': `${offset}-${content.length - 1}` } })
      return again.status === 202
    })
    expect(offset).toBeLessThanOrEqual(1_000_000)
    expect(await close(location, content)).toBe('201')
  })

  test('of two writers at once: one of them is refused, and no byte is mixed', async () => {
    const location = await begin()
    const first = openRaw(server)
    first.send(`${head(`PATCH ${location}`, 'Content-Length: 6')}abc`)
    await delay(100)
    expect(await patch(location, 'xyz')).toBe('416 BLOB_UPLOAD_INVALID')
    expect(await close(location, 'abcxyz', { body: 'xyz' })).toBe('416 BLOB_UPLOAD_INVALID')
    first.send('def')
    expect(await first.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 202 /)
    first.socket.destroy()
    expect(await close(location, 'abcdef')).toBe('201')
  })

  test('of many writers at once: the blob is what one after the other would have made', async () => {
    const location = await begin()
    const pieces = Array.from({ length: 20 }, (_, index) => String.fromCharCode(97 + index).repeat(1_000))
    const answers = await Promise.all(pieces.map((piece) => patch(location, piece)))
    const taken = answers.filter((answer) => answer.startsWith('202'))
    expect(answers.every((answer) => answer.startsWith('202') || answer === '416 BLOB_UPLOAD_INVALID')).toBe(true)
    expect(await has(location)).toBe(`204 0-${taken.length * 1_000 - 1}`)
  })

  test('may crawl', async () => {
    const location = await begin()
    const raw = openRaw(server)
    raw.send(head(`PATCH ${location}`, 'Content-Length: 5'))
    for (const letter of 'abcde') {
      await delay(150)
      raw.send(letter)
    }
    expect(await raw.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 202 /)
    raw.socket.destroy()
  })
})

describe('a mount', () => {
  test('takes what the source has, and opens an upload where it has not', async () => {
    const client = registryClient(server)
    const digest = await client.pushBlob('p/source', Buffer.from('to be mounted'))
    const mount = (query: string): Promise<Answer> => wire.sound('POST', `/v2/q/mounted/blobs/uploads/?mount=${query}`)
    const absent = sha256(Buffer.from('nowhere'))
    for (const query of [
      `${digest}&from=p/lacks`, `${digest}&from=nowhere/app`, `${digest}&from=BAD`, `${digest}&from=`, `${digest}&from=p/source%00`, `${absent}&from=p/source`, absent,
    ]) {
      expect(said(await mount(query))).toBe('202 0-0')
    }
    expect(await wire.asked('HEAD', `/v2/q/mounted/blobs/${digest}`)).toBe('404')
    const mounted = await mount(`${digest}&from=p/source`)
    expect(mounted).toMatchObject({ status: 201, headers: { location: `/v2/q/mounted/blobs/${digest}`, 'docker-content-digest': digest } })
    expect((await wire.sound('GET', `/v2/q/mounted/blobs/${digest}`)).body.toString()).toBe('to be mounted')
    // Without a source, whoever has it.
    expect((await wire.sound('POST', `/v2/q/again/blobs/uploads/?mount=${digest}`)).status).toBe(201)
    // A source that has it no longer.
    expect(await wire.asked('DELETE', `/v2/p/source/blobs/${digest}`)).toBe('202')
    expect(await wire.asked('POST', `/v2/q/third/blobs/uploads/?mount=${digest}&from=p/source`)).toBe('202')
  })
})

test("docker's first push into a new project opens five uploads at once: it is created once", async () => {
  const answers = await Promise.all(Array.from({ length: 5 }, (_, index) => wire.asked('POST', `/v2/fresh/app${index % 2}/blobs/uploads/`)))
  expect(answers).toEqual(['202', '202', '202', '202', '202'])
  const { stdout } = await server.varve('log', 'tail', '--lines', '1000')
  expect(stdout.split('\n').filter((line) => line.includes('"ProjectCreated"') && line.includes('"fresh"'))).toHaveLength(1)
})

test('whoever comes while a project is being created for another is let in', async () => {
  for (let round = 0; round < 20; round += 1) {
    const begin = () => wire.asked('POST', `/v2/fresh-${round}/app/blobs/uploads/`)
    const created = new AbortController()
    const asked = [
      begin().finally(() => {
        created.abort()
      }),
    ]
    while (!created.signal.aborted) {
      asked.push(begin())
      await delay(1)
    }
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['202']))
  }
})

describe('an upload goes on after', () => {
  const again = async (stop: (cut: () => void) => Promise<void>): Promise<void> => {
    const content = randomBytes(700_000)
    const location = await begin()
    expect(await patch(location, content.subarray(0, 400_000))).toBe('202 0-399999')
    const cut = openRaw(server)
    cut.send(head(`PATCH ${location}`, 'Content-Length: 300000'))
    cut.send(content.subarray(400_000, 500_000))
    await stop(() => cut.socket.destroy())
    await server.restart()
    cut.socket.destroy()
    const offset = Number(/^204 0-(\d+)$/.exec(await has(location))?.[1]) + 1
    expect(offset).toBeGreaterThanOrEqual(400_000)
    expect(offset).toBeLessThanOrEqual(500_000)
    expect(await patch(location, content.subarray(offset), `${offset}-${content.length - 1}`)).toBe('202 0-699999')
    expect(await close(location, content)).toBe('201')
    expect((await wire.sound('GET', `/v2/p/app/blobs/${sha256(content)}`)).body.equals(content)).toBe(true)
  }

  test('a restart', () =>
    again((cut) => {
      cut()
      return server.kill('SIGTERM')
    }))
  test('kill -9', () => again(() => server.kill('SIGKILL')))
})

test('nothing of all that was an error of the server', () => {
  expect(server.output().split('\n').filter((line) => /"level":"error"|unhandled/i.test(line))).toEqual([])
})
