import { latencyOf } from '../results.ts'
import type { Latency } from '../results.ts'
import { openConnection, requestText } from './connection.ts'

/** So many clients, each with one connection, that all begin at once and pull the same image part by part. */
export type StormTask = {
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly paths: readonly string[]
  readonly clients: number
}

export type StormAnswer = {
  /** Until the last client had the last byte. */
  readonly seconds: number
  /** Requests answered 200, and clients that did not get the image. */
  readonly answered: number
  readonly failed: number
  readonly bytes: number
  /** How long each client took for the whole image, opening its connection too. */
  readonly latency: Latency
}

async function storm({ port, headers, paths, clients }: StormTask): Promise<StormAnswer> {
  const requests = paths.map((path) => requestText('GET', path, headers))
  const times: number[] = []
  let [answered, failed, bytes] = [0, 0, 0]
  const started = performance.now()

  async function pull(): Promise<void> {
    const connection = await openConnection(port)
    for (const request of requests) {
      const { status, bodyBytes } = await connection.ask(request)
      if (status !== 200) throw new Error(`status ${status}`)
      answered += 1
      bytes += bodyBytes
    }
    connection.socket.destroy()
    times.push(performance.now() - started)
  }

  await Promise.all(
    Array.from({ length: clients }, () =>
      pull().catch((error: unknown) => {
        failed += 1
        process.stderr.write(`${String(error)}\n`)
      }),
    ),
  )
  return { seconds: (performance.now() - started) / 1000, answered, failed, bytes, latency: latencyOf(times) }
}

if (import.meta.main) process.stdout.write(JSON.stringify(await storm(JSON.parse(process.argv[2] ?? '') as StormTask)))
