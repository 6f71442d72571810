import type { IncomingMessage, ServerResponse } from 'node:http'
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** What a request is about: few enough to be a label, whatever paths a client makes up. */
export type RouteClass =
  | 'base'
  | 'manifest'
  | 'blob'
  | 'upload'
  | 'tags'
  | 'referrers'
  | 'catalog'
  | 'token'
  | 'management'
  | 'health'
  | 'metrics'
  | 'other'

/** `status` is undefined where the client went away before its answer began. */
export type RequestEnd = { readonly status: number | undefined; readonly receivedBytes: number; readonly sentBytes: number }

export type Metrics = {
  /** Counts a request as under way. What it returns is to be called once, when its answer is over. */
  began(method: string | undefined, url: string | undefined): (end: RequestEnd) => void
  /** The same for node:http, with the bytes that its connection carried meanwhile. Call it before the answer begins. */
  trackRequest(request: IncomingMessage, response: ServerResponse): void
  /** A pull that the log has. */
  pulled(what: 'manifest' | 'blob'): void
  pushed(what: 'manifest' | 'blob'): void
  /** An append to the log: how many events went together, and how long their commit took. */
  committed(events: number, seconds: number): void
  /** Something that the log was asked for is asked for again. */
  retried(what: 'append' | 'read' | 'subscription', reason: string): void
  /** Somebody thinned the log, or changed how much of it is kept. */
  tampered(how: string): void
  /** Asked at each scrape: how far a projection is behind the log, in what its positions count. Undefined: not known at this moment. */
  watchLag(projection: string, lag: Lag, unit?: 'events' | 'bytes'): void
  /** Asked at each scrape: how many bytes of the log each subscription is behind, by its lanes. */
  watchSubscriptions(behind: () => ReadonlyMap<string, number>): void
  /** Asked at each scrape: the node that leads the log. */
  watchLeader(leader: () => string | undefined): void
  /** The text that Prometheus reads. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>
}

type Lag = () => number | undefined | Promise<number | undefined>

/** The requests of one method, route and status. */
type Tally = {
  readonly method: string
  readonly route: RouteClass
  readonly status: string
  readonly seconds: { observe(seconds: number): void }
  requests: number
  receivedBytes: number
  sentBytes: number
}

/** The class of a request's path; tried in this order, since a repository may have any of these words in its name. */
const ROUTES: readonly (readonly [RegExp, RouteClass])[] = [
  [/^\/v2\/.+\/manifests\/[^/]+$/, 'manifest'],
  [/^\/v2\/.+\/blobs\/[^/]+$/, 'blob'],
  [/^\/v2\/?$/, 'base'],
  [/^\/v2\/_catalog$/, 'catalog'],
  [/^\/v2\/.+\/blobs\/uploads\/[^/]*$/, 'upload'],
  [/^\/v2\/.+\/tags\/list$/, 'tags'],
  [/^\/v2\/.+\/referrers\/[^/]+$/, 'referrers'],
  [/^\/(service\/)?token$/, 'token'],
  [/^\/(healthz|readyz)$/, 'health'],
  [/^\/metrics$/, 'metrics'],
  [/^\/api\//, 'management'],
]

/** Which class a request belongs to. */
export function routeClass(url: string): RouteClass {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  return ROUTES.find(([pattern]) => pattern.test(path))?.[1] ?? 'other'
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Metrics in a registry of their own, so that two servers in one process do not count together. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  /** Plain numbers on the way of each request, put into their metrics at a scrape: those look a label's child up by a sorted and joined key each time. */
  const tallies = new Map<string, Tally>()
  let underWay = 0
  const pulled = { manifest: 0, blob: 0 }

  /** Read at each scrape, by its labels; what has the same labels is added up. */
  function counter<L extends string>(name: string, help: string, labelNames: L[], read: () => Iterable<readonly [Record<L, string>, number]>): void {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const [labels, number] of read()) this.inc(labels, number)
      },
    })
  }
  const ofTallies = <T>(read: (tally: Tally) => T): T[] => [...tallies.values()].map(read)

  counter('varve_http_requests_total', 'Answered requests; status 499 where the client went away before its answer began', ['method', 'route', 'status'], () =>
    ofTallies(({ method, route, status, requests }) => [{ method, route, status }, requests] as const))
  const requestSeconds = new Histogram({
    name: 'varve_http_request_seconds',
    help: 'From the end of the request headers to the end of the answer',
    labelNames: ['method', 'route'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  })
  counter('varve_http_received_bytes_total', 'Bytes of requests, their headers too', ['route'], () =>
    ofTallies(({ route, receivedBytes }) => [{ route }, receivedBytes] as const))
  counter('varve_http_sent_bytes_total', 'Bytes of answers, their headers too', ['route'], () =>
    ofTallies(({ route, sentBytes }) => [{ route }, sentBytes] as const))
  new Gauge({
    name: 'varve_http_requests_active',
    help: 'Requests whose answer is not over',
    registers,
    collect() {
      this.set(underWay)
    },
  })
  counter('varve_pulls_total', 'Pulls recorded by this process', ['what'], () => [[{ what: 'manifest' }, pulled.manifest], [{ what: 'blob' }, pulled.blob]])
  const pushes = new Counter({ name: 'varve_pushes_total', help: 'Pushes recorded by this process', labelNames: ['what'] as const, registers })
  const commitSeconds = new Histogram({
    name: 'varve_log_commit_seconds',
    help: 'How long an append to the log took to be durable',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  })
  const batchEvents = new Histogram({
    name: 'varve_log_batch_events',
    help: 'Events that were committed together',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    registers,
  })

  const retries = new Counter({
    name: 'varve_log_retries_total',
    help: 'Appends to the log, reads of it and subscriptions that were tried again',
    labelNames: ['what', 'reason'] as const,
    registers,
  })
  const tampering = new Counter({
    name: 'varve_log_tampering_total',
    help: 'Deletions, truncations and metadata changes of streams of the log, and events found missing: an alarm',
    labelNames: ['how'] as const,
    registers,
  })

  /** Read at each scrape, by what its one label says; what is not told leaves no old figure behind. */
  function gauge(name: string, help: string, label: string, read: () => Promise<Iterable<readonly [string, number]>>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers,
      async collect() {
        this.reset()
        for (const [value, number] of await read()) this.set({ [label]: value }, number)
      },
    })
  }
  const lags = { events: new Map<string, Lag>(), bytes: new Map<string, Lag>() }
  async function known(unit: keyof typeof lags): Promise<[string, number][]> {
    const found: [string, number][] = []
    for (const [projection, lag] of lags[unit]) {
      // One that cannot be told takes none of the others along.
      const value = await Promise.resolve().then(lag).catch(() => undefined)
      if (value !== undefined) found.push([projection, value])
    }
    return found
  }
  gauge('varve_projection_lag_events', 'Events of the log that a projection has not handled yet', 'projection', () => known('events'))
  gauge('varve_projection_lag_bytes', 'Bytes of the log that a projection has not handled yet, where positions count bytes', 'projection', () => known('bytes'))
  let subscriptions: () => ReadonlyMap<string, number> = () => new Map()
  gauge('varve_log_subscription_lag_bytes', 'Bytes of the log that a subscription has not passed yet', 'lanes', () => Promise.resolve(subscriptions()))
  let leader: () => string | undefined = () => undefined
  gauge('varve_log_leader', 'The node that leads the log, as far as this process knows', 'node', () => {
    const node = leader()
    return Promise.resolve(node === undefined ? [] : [[node, 1] as const])
  })

  function tallyOf(method: string, route: RouteClass, status: string): Tally {
    const key = `${method} ${route} ${status}`
    const found = tallies.get(key)
    if (found !== undefined) return found
    const made = { method, route, status, requests: 0, receivedBytes: 0, sentBytes: 0, seconds: requestSeconds.labels({ method, route }) }
    tallies.set(key, made)
    return made
  }

  const began: Metrics['began'] = (given, url) => {
    const started = performance.now()
    const route = routeClass(url ?? '')
    const method = METHODS.has(given ?? '') ? (given ?? '') : 'other'
    underWay += 1
    return ({ status, receivedBytes, sentBytes }) => {
      underWay -= 1
      const tally = tallyOf(method, route, status?.toString() ?? '499')
      tally.requests += 1
      tally.receivedBytes += Math.max(0, receivedBytes)
      tally.sentBytes += Math.max(0, sentBytes)
      tally.seconds.observe((performance.now() - started) / 1_000)
    }
  }

  return {
    began,
    trackRequest(request, response) {
      const { socket } = request
      const { bytesRead, bytesWritten } = socket
      const finish = began(request.method, request.url)
      response.once('close', () => {
        finish({
          status: response.headersSent ? response.statusCode : undefined,
          // Pipelined requests share their connection's bytes, so a sum may count some twice; no registry client pipelines.
          receivedBytes: socket.bytesRead - bytesRead,
          sentBytes: socket.bytesWritten - bytesWritten,
        })
      })
    },
    pulled(what) {
      pulled[what] += 1
    },
    pushed(what) {
      pushes.inc({ what })
    },
    committed(events, seconds) {
      batchEvents.observe(events)
      commitSeconds.observe(seconds)
    },
    retried(what, reason) {
      retries.inc({ what, reason })
    },
    tampered(how) {
      tampering.inc({ how })
    },
    watchLag(projection, lag, unit = 'events') {
      lags[unit].set(projection, lag)
    },
    watchSubscriptions(behind) {
      subscriptions = behind
    },
    watchLeader(of) {
      leader = of
    },
    async render() {
      return { contentType: registry.contentType, body: await registry.metrics() }
    },
  }
}
