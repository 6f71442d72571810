import { openConnection, requestText } from '../client/connection.ts'
import { httpClient } from '../client/http.ts'
import { sharedImage } from '../images.ts'
import { hammer } from '../load.ts'
import { measureLoad } from '../measure.ts'
import type { Registry } from '../registry.ts'
import { latencyOf } from '../results.ts'
import type { Row } from '../row.ts'

/** Varve alone has users. */
const ALONE = ['Varve'] as const
const PROJECT = 'everybody'
const SCOPE = `repository:${PROJECT}/app:pull`
const CONNECTIONS = [16, 128]
const ROBOTS = 500
const image = sharedImage(`${PROJECT}/app`, [10_000, 1_000_000, 2_000, 5_000, 50_000])

type Headers = Readonly<Record<string, string>>

/** Makes something over the management API, and answers what was said of it. */
async function make({ port, headers }: Registry, path: string, body: object): Promise<string> {
  const client = httpClient(port, headers)
  try {
    const pieces = [Buffer.from(JSON.stringify(body))]
    return (await client.expect(201, 'POST', `/api/v2.0${path}`, pieces, { 'Content-Type': 'application/json' })).body.toString()
  } finally {
    client.close()
  }
}

/** A project that everybody may pull from, so that nobody, a password and a token get the same. */
const prepared = new Map<Registry, Promise<unknown>>()
function prepare(registry: Registry): Promise<unknown> {
  const known = prepared.get(registry) ?? make(registry, '/projects', { project_name: PROJECT, metadata: { public: 'true' } }).then(() => image.in(registry))
  prepared.set(registry, known)
  return known
}

async function tokenOf({ port, headers }: Registry): Promise<Headers> {
  const client = httpClient(port, headers)
  try {
    const { body } = await client.expect(200, 'GET', `/service/token?service=varve&scope=${encodeURIComponent(SCOPE)}`)
    return { Authorization: `Bearer ${(JSON.parse(body.toString()) as { readonly token: string }).token}` }
  } finally {
    client.close()
  }
}

const WHO: readonly { readonly who: string; readonly headersOf: (registry: Registry) => Headers | Promise<Headers> }[] = [
  { who: 'nobody', headersOf: () => ({}) },
  { who: 'by name and password', headersOf: ({ headers }) => headers },
  { who: 'by token', headersOf: tokenOf },
]

const pullRows = CONNECTIONS.flatMap((connections) =>
  WHO.map(({ who, headersOf }): Row => ({
    group: 'Who asks',
    name: `GET public manifest by tag, ${who}, ${connections} connections`,
    unit: 'requests/s',
    registries: ALONE,
    prepare,
    async measure(registry, seconds) {
      const [{ byTag }, headers] = [await image.in(registry), await headersOf(registry)]
      return measureLoad(registry, 'counted', async () => {
        const done = await hammer({ port: registry.port, headers, method: 'GET', path: byTag, connections, seconds })
        return { ...done, value: done.answered / done.seconds }
      })
    },
  })),
)

let robots: Promise<Headers[]> | undefined

async function makeRobots(registry: Registry): Promise<Headers[]> {
  const made: Headers[] = []
  await prepare(registry)
  const permissions = [{ kind: 'project', namespace: PROJECT, access: [{ resource: 'repository', action: 'pull' }] }]
  for (let index = 0; index < ROBOTS; index += 1) {
    const answer = await make(registry, '/robots', { name: `node-${index}`, level: 'project', duration: -1, permissions })
    const { name, secret } = JSON.parse(answer) as { readonly name: string; readonly secret: string }
    made.push({ Authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}` })
  }
  return made
}

const fetchRow: Row = {
  group: 'Who asks',
  name: `${ROBOTS} robots fetch a token each, at once, from a registry that was just started`,
  unit: 's',
  registries: ALONE,
  prepare: (registry) => (robots ??= makeRobots(registry)),
  async measure(registry) {
    const requests = (await (robots ??= makeRobots(registry))).map((headers) => requestText('GET', `/service/token?service=varve&scope=${encodeURIComponent(SCOPE)}`, headers))
    await registry.restart()
    return measureLoad(registry, 'none', async () => {
      const times: number[] = []
      let failed = 0
      const started = performance.now()
      await Promise.all(
        requests.map(async (request) => {
          const { ask, socket } = await openConnection(registry.port)
          const { status } = await ask(request)
          socket.destroy()
          if (status === 200) times.push(performance.now() - started)
          else failed += 1
        }),
      )
      return { value: (performance.now() - started) / 1000, answered: times.length, failed, latency: latencyOf(times) }
    })
  },
}

export const tokenRows: readonly Row[] = [...pullRows, fetchRow]
