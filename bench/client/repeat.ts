import { latencyOf } from '../results.ts'
import type { Latency } from '../results.ts'
import { openConnection, requestText } from './connection.ts'

/** The same request again and again over so many connections: what wrk does, for HEAD, after which wrk waits for a body. */
export type RepeatTask = {
  readonly port: number
  readonly method: 'GET' | 'HEAD'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  readonly seconds: number
}

export type RepeatAnswer = {
  readonly answered: number
  readonly failed: number
  readonly bytes: number
  readonly seconds: number
  readonly latency: Latency
}

export async function repeat({ port, method, path, headers, connections, seconds }: RepeatTask): Promise<RepeatAnswer> {
  const request = requestText(method, path, headers)
  const open = await Promise.all(Array.from({ length: connections }, () => openConnection(port)))
  const times: number[] = []
  let [failed, bytes] = [0, 0]
  const started = performance.now()
  const end = started + seconds * 1000
  await Promise.all(
    open.map(async (connection) => {
      for (let before = performance.now(); before < end;) {
        const { status, bodyBytes } = await connection.ask(request)
        const now = performance.now()
        if (status === 200) times.push(now - before)
        else failed += 1
        bytes += bodyBytes
        before = now
      }
      connection.socket.destroy()
    }),
  )
  return { answered: times.length, failed, bytes, seconds: (performance.now() - started) / 1000, latency: latencyOf(times) }
}

if (import.meta.main) process.stdout.write(JSON.stringify(await repeat(JSON.parse(process.argv[2] ?? '') as RepeatTask)))
