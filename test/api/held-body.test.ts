import { afterEach, describe, expect, it } from '@jest/globals'
import express from 'express'
import { createDirectConnections } from '../../src/api/direct/connections.ts'
import { takeBody } from '../../src/api/held-body.ts'
import { createOciHandler } from '../../src/api/oci/http.ts'
import type { OciAnswerer } from '../../src/api/oci/router.ts'
import { json } from '../../src/api/reply.ts'
import { startHttpServer } from '../../src/api/server.ts'
import type { HttpServer, HttpServerOptions } from '../../src/api/server.ts'
import { openRaw } from '../support/wire.ts'

/*
 * Clients that send a byte, and another, and never come to an end.
 */

const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
const WITHIN_MS = 100
let server: HttpServer | undefined

afterEach(async () => {
  await server?.close(0)
})

async function start(options: Pick<HttpServerOptions, 'handler' | 'direct'>) {
  server = await startHttpServer({ listen: { host: '127.0.0.1', port: 0 }, tls: undefined, log, ...options })
  return openRaw({ host: new URL(server.url).host })
}

const answer: OciAnswerer = async (_request, body) => {
  let bytes = 0
  for await (const piece of body.read(WITHIN_MS)) bytes += piece.length
  return json(200, { bytes })
}
const failing: OciAnswerer = (...asked) => answer(...asked).catch(() => json(400, {}))
const app = express().put('/v2/x', async (request, response) => {
  await takeBody(express.json({ type: () => true }), request, response, WITHIN_MS)
  response.json({ bytes: JSON.stringify(request.body).length })
})
app.use((_error: unknown, _request: unknown, _response: unknown, _next: unknown) => undefined)

const unused = (): never => {
  throw new Error('this is not the way of such a request')
}

const WAYS: Readonly<Record<string, Pick<HttpServerOptions, 'handler' | 'direct'>>> = {
  'on the connection itself': {
    handler: unused,
    direct: (connections) => createDirectConnections({ ...connections, answer: failing, metrics: { began: () => () => undefined }, logger: log }),
  },
  'through node:http': { handler: (request, response) => void createOciHandler(answer, log)(request, response) },
  'through Express': { handler: app },
}

const head = (length: number): string => `PUT /v2/x HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n\r\n`

describe.each(Object.entries(WAYS))('a body that is held, %s,', (_, way) => {
  it('is cut off where it does not come to its end', async () => {
    const raw = await start(way)
    raw.send(head(1_000_000))
    const sending = setInterval(() => raw.send(' '), 5)
    await raw.closed
    clearInterval(sending)
    expect(raw.received()).not.toMatch(/^HTTP\/1\.1 200 /)
  })

  it('that came whole bounds nothing that comes after it on its connection', async () => {
    const raw = await start(way)
    raw.send(`${head(2)}{}`)
    await raw.until(/\{"bytes":2\}/)
    // Longer than the first one had.
    await new Promise((resolve) => setTimeout(resolve, 2 * WITHIN_MS))
    raw.send(`${head(3)}[1]`)
    expect(await raw.until(/\{"bytes":3\}/)).toContain('{"bytes":2}')
    raw.socket.destroy()
  })
})
