import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Connection } from '../../src/storage/postgres/embedded.ts'

/** A statement that was executed: by a client of which name, on which of its connections, and the name or else the text of it. */
export type Statement = { readonly client: string; readonly connection: number; readonly text: string }

/**
 * Stands between Varve and a real Postgres, and reads what is asked: the clients' side of the protocol is a start-up message, and then
 * messages of one letter and a length each. It can hold back what one of Varve's clients sends: the log's appends, if nothing else is said.
 */
export async function startPostgresProxy({ host, port, user, database }: Connection) {
  const statements: Statement[] = []
  const held: (() => void)[] = []
  let holding: string | undefined
  let connections = 0
  const sockets = new Set<Socket>()

  const server = createServer((client) => {
    const upstream = connect(join(host, `.s.PGSQL.${port}`))
    const connection = (connections += 1)
    const reader = createReader((client, text) => statements.push({ client, connection, text }))
    client.on('data', (bytes: Buffer) => {
      const name = reader.take(bytes)
      const pass = (): void => {
        upstream.write(bytes)
      }
      if (name !== undefined && name === holding) held.push(pass)
      else pass()
    })
    upstream.on('data', (bytes) => client.write(bytes))
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
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
  const own = typeof address === 'object' && address !== null ? address.port : 0

  return {
    url: `postgres://${user}@127.0.0.1:${own}/${database}`,
    /** What was executed since the last call. */
    take: (): Statement[] => statements.splice(0),
    hold(client = 'varve log writer'): void {
      holding = client
    },
    release(): void {
      holding = undefined
      for (const pass of held.splice(0)) pass()
    },
    stop(): void {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Follows one client's messages, wherever its packets end. */
function createReader(executed: (client: string, text: string) => void) {
  let rest = Buffer.alloc(0)
  let client: string | undefined
  let parsed = ''
  const textAt = (bytes: Buffer, from: number): string => bytes.toString('utf8', from, bytes.indexOf(0, from))

  function message(type: string, body: Buffer): void {
    if (type === 'Q') executed(client ?? '', textAt(body, 0))
    // A statement without a name is what was parsed last.
    if (type === 'P' && body[0] === 0) parsed = textAt(body, 1)
    if (type === 'B') executed(client ?? '', textAt(body, body.indexOf(0) + 1) || parsed)
  }

  return {
    /** The client's name, once it is known. */
    take(bytes: Buffer): string | undefined {
      rest = Buffer.concat([rest, bytes])
      for (;;) {
        const head = client === undefined ? 0 : 1
        if (rest.length < head + 4) return client
        const end = head + rest.readInt32BE(head)
        if (rest.length < end) return client
        const body = rest.subarray(head + 4, end)
        if (client === undefined) client = /application_name\0([^\0]*)/.exec(body.toString('latin1'))?.[1] ?? ''
        else message(String.fromCharCode(rest[0] ?? 0), body)
        rest = rest.subarray(end)
      }
    },
  }
}
