import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from '@jest/globals'
import { openConnection, requestText } from '../../bench/client/connection.ts'
import type { Connection } from '../../bench/client/connection.ts'

let server: Server | undefined
let connection: Connection | undefined
afterEach(async () => {
  await end()
})

async function end(): Promise<void> {
  connection?.socket.destroy()
  const ended = server
  if (ended?.listening === true) await new Promise((resolve) => ended.close(resolve))
}

/** Opens a connection to a server that answers each request with these pieces, one turn after another. */
async function answeredWith(answer: (socket: Socket) => AsyncIterable<string> | Iterable<string>): Promise<Connection> {
  server = createServer((socket) => {
    socket.on('data', () => void send(socket)).on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  connection = await openConnection(typeof address === 'object' && address !== null ? address.port : 0)
  return connection

  async function send(socket: Socket): Promise<void> {
    for await (const piece of answer(socket)) {
      socket.write(piece)
      await turn()
    }
  }
}

const GET = requestText('GET', '/x', { Accept: '*/*' })
const HEAD = requestText('HEAD', '/x', {})

describe('the connection of the benchmarks', () => {
  it('sends what a request consists of', () => {
    expect(GET).toBe('GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n')
  })

  it('counts a body, however the answer is cut, and asks again on the same connection', async () => {
    const text = 'HTTP/1.1 200 OK\r\ncontent-LENGTH: 7\r\nX: y\r\n\r\n1234567'
    for (let cut = 1; cut < text.length; cut += 5) {
      const { ask } = await answeredWith(() => [text.slice(0, cut), text.slice(cut)])
      expect([await ask(GET), await ask(GET)]).toEqual(Array(2).fill({ status: 200, bodyBytes: 7 }))
      await end()
    }
  })

  it('waits for no body after a HEAD', async () => {
    const { ask } = await answeredWith(() => ['HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\n'])
    expect(await ask(HEAD)).toEqual({ status: 404, bodyBytes: 0 })
  })

  it('rejects an answer that is cut off, and one of unknown length', async () => {
    const cut = await answeredWith(function* (socket) {
      yield 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123'
      socket.end()
    })
    await expect(cut.ask(GET)).rejects.toThrow('closed')
    await end()
    const unknown = await answeredWith(() => ['HTTP/1.1 200 OK\r\n\r\n'])
    await expect(unknown.ask(GET)).rejects.toThrow('without Content-Length')
  })
})
