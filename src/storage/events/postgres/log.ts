import pg from 'pg'
import type { AppendResult, Delivery, EventCodec, EventLog, From, Resolved } from '../../../ports/event-log.ts'
import type { Recorded } from '../../../ports/event.ts'
import { parsePosition, position, positionLog, positionNumber } from '../../../ports/position.ts'
import type { Position } from '../../../ports/position.ts'
import { laneOf, streams } from '../../../ports/streams.ts'
import type { Lane } from '../../../ports/streams.ts'
import { CONNECT_TIMEOUT_MS } from '../../postgres/connection.ts'
import { createPool } from '../../postgres/pool.ts'
import { logNameIn } from '../naming.ts'
import { orAborted } from '../../../ports/or-aborted.ts'
import { CALL_TIMEOUT_MS, createCommitter } from './committer.ts'
import type { CommitObserver } from './committer.ts'
import { schema } from './schema.ts'

type Row = { pos: string; stream: string; rev: string; hash: string; body: string; bytes: number }

/**
 * An event has 300 bytes or 250,000: a page ends with the row that reaches either bound. One of 2,000 rows lived long enough for V8 to count it
 * as old, and a rebuild looked through the whole heap for what was left of it (docs/performance/rebuild.md).
 */
const PAGE_BYTES = 4_000_000
const PAGE_ROWS = 500
/** How often another process's appends are looked for; this one's own wake its subscriptions at once. */
const POLL_MS = 200
const MARKER_MS = 1_000

export type PostgresLog = EventLog & {
  /** The log's clock minus this machine's, as the last commit saw it. */
  clockSkewMs(): number
}

/**
 * The log in Postgres: any number of processes may append, positions are dense, and commit order is position order.
 *
 * An append's session sets `synchronous_commit` to on, whatever the server's default is, and `transaction_timeout`, which bounds how
 * long a client that was lost in the middle of a call can hold the log's lock.
 */
export async function openPostgresLog(config: pg.ClientConfig, codec: EventCodec, observe: CommitObserver = () => undefined): Promise<PostgresLog> {
  const pool = createPool({ ...config, max: 6, application_name: 'varve log reader' })
  await pool.query(schema)
  let name = await readName()
  let knownHead = await queryHead()
  /** Where this process's last append to each lane stands, at most. */
  const appended: Record<Lane, number> = { state: 0, activity: 0 }
  /** Subscriptions that wait, by what wakes them: a storm of pulls leaves those that follow state alone. */
  const sleepers = new Set<{ readonly lanes: readonly Lane[]; wake(): void }>()

  const committer = createCommitter(
    () =>
      new pg.Client({
        ...config,
        application_name: 'varve log writer',
        query_timeout: CALL_TIMEOUT_MS,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        keepAlive: true,
        options: '-c synchronous_commit=on -c transaction_timeout=10s -c default_transaction_isolation=read\\ committed',
      }),
    advance,
    observe,
  )

  function advance(head: number, lanes: ReadonlySet<Lane>): void {
    knownHead = Math.max(knownHead, head)
    for (const lane of lanes) appended[lane] = knownHead
    for (const sleeper of sleepers) if (sleeper.lanes.some((lane) => lanes.has(lane))) sleeper.wake()
  }

  /** Until this process appends to one of the lanes, and for no longer than another process's appends may go unseen. */
  async function untilAppended(lanes: readonly Lane[], signal: AbortSignal): Promise<'appended' | 'late' | 'ended'> {
    const { promise, resolve } = Promise.withResolvers<'appended' | 'late' | 'ended'>()
    const sleeper = { lanes, wake: () => { resolve('appended') } }
    const end = (): void => { resolve('ended') }
    const timer = setTimeout(resolve, POLL_MS, 'late')
    signal.addEventListener('abort', end)
    sleepers.add(sleeper)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      sleepers.delete(sleeper)
    }
  }

  async function readName(): Promise<string | undefined> {
    const { rows } = await pool.query<Row>(`select stream, encode(hash, 'hex') as hash, body from varve_log.state where stream = $1 order by rev desc limit 1`, [streams.log])
    const [row] = rows
    return row === undefined ? undefined : logNameIn(row.stream, [codec.decode(row.body, row.hash)])
  }

  async function queryHead(): Promise<number> {
    const { rows } = await pool.query<{ head: string }>({
      name: 'head',
      text: `select greatest(coalesce((select pos from varve_log.state order by pos desc limit 1), 0),
                             coalesce((select pos from varve_log.activity order by pos desc limit 1), 0)) as head`,
    })
    const number = Number(rows[0]?.head ?? 0)
    // Another process may have named the log since it was opened here.
    if (number > 0) name ??= await readName()
    return number
  }

  const at = (number: number | string): Position => {
    if (name === undefined) throw new Error('the first append to a log names it (LogNamed)')
    return position(name, number)
  }

  const recorded = (row: Row): Recorded => ({
    event: codec.decode(row.body, row.hash),
    stream: row.stream,
    revision: Number(row.rev),
    position: at(row.pos),
    hash: row.hash,
  })

  /** The number before the first wanted one. A position of another log would skip events or repeat them, so it is refused. */
  function before(from: From): number {
    if (from === 'start') return 0
    const given = 'after' in from ? from.after : from.at
    if (positionLog(given) !== name) throw new Error(`${given} is a position of another log than ${name ?? 'this one'}`)
    return Number(positionNumber(given)) - ('after' in from ? 0 : 1)
  }

  async function readPage(lanes: readonly Lane[], after: number, head: number): Promise<Row[]> {
    const rows = lanes.map((lane) => `(select pos, stream, rev, hash, body from varve_log.${lane} where pos > $1 and pos <= $2 order by pos limit ${PAGE_ROWS})`)
    const { rows: page } = await pool.query<Row>({
      name: `page of ${lanes.join('+')}`,
      text: pageOf(`select * from (${rows.join(' union all ')}) lanes order by pos limit ${PAGE_ROWS}`, 'pos'),
      values: [after, head],
    })
    return page
  }

  /**
   * Pages up to a head that was read *before* the page's own statement: in the other order a commit between the two would be passed over.
   * Each page says how far it reaches; a full one only to its last row. The next is under way while the consumer has this one.
   */
  async function* pages(lanes: readonly Lane[], from: number, head: number): AsyncGenerator<{ rows: Row[]; through: number }> {
    let next = from < head ? readPage(lanes, from, head) : undefined
    while (next !== undefined) {
      const rows = await next
      const last = rows.at(-1)
      const through = last !== undefined && isFull(rows) ? Number(last.pos) : head
      next = through < head ? readPage(lanes, through, head) : undefined
      // Whoever stops early does not come back for it.
      next?.catch(() => undefined)
      yield { rows, through }
    }
  }

  return {
    async append(stream, expected, events, signal): Promise<AppendResult> {
      signal?.throwIfAborted()
      const request = { stream, activity: laneOf(stream) === 'activity', expected, events: events.map((event) => codec.encode(event)) }
      const committed = await orAborted(committer.append(request), signal)
      if ('actual' in committed) return { status: 'conflict', actual: committed.actual }
      name = logNameIn(stream, events) ?? name
      return { status: 'appended', positions: events.map((_, index) => at(committed.firstPosition + index)) }
    },
    async *readStream(stream, after) {
      let revision = after
      for (;;) {
        const { rows } = await pool.query<Row>({
          name: `stream of ${laneOf(stream)}`,
          text: pageOf(`select pos, stream, rev, hash, body from varve_log.${laneOf(stream)} where stream = $1 and rev > $2 order by rev limit ${PAGE_ROWS}`, 'rev'),
          values: [stream, revision],
        })
        if (rows.length > 0) name ??= await readName()
        for (const row of rows) yield recorded(row)
        if (!isFull(rows)) return
        revision += rows.length
      }
    },
    async *readAll(lanes, from) {
      // One by one: a `yield*` would await each twice.
      for await (const { rows } of pages(lanes, before(from), await queryHead())) for (const row of rows) yield recorded(row)
    },
    async *subscribe(lanes, from, signal): AsyncGenerator<Delivery> {
      let reached = before(from)
      let marked = -Infinity
      while (!signal.aborted) {
        const head = knownHead
        for await (const { rows, through } of pages(lanes, reached, head)) {
          for (const row of rows) yield { kind: 'event', recorded: recorded(row) }
          reached = through
          marked = performance.now()
          yield { kind: 'marker', position: at(through) }
        }
        if (performance.now() - marked >= MARKER_MS && reached > 0) {
          marked = performance.now()
          yield { kind: 'marker', position: at(reached) }
        }
        // What was appended while the consumer worked is read at once; else this process's appends wake it.
        if (lanes.some((lane) => appended[lane] > head)) continue
        if ((await untilAppended(lanes, signal)) === 'late') {
          const found = await queryHead()
          // Compared only now: an append of this process may have overtaken the answer.
          knownHead = Math.max(knownHead, found)
        }
      }
    },
    async resolve(text): Promise<Resolved> {
      const given = parsePosition(text)
      if (given === undefined) return { status: 'refused', reason: `${text} is no position` }
      if (positionLog(given) !== name) return { status: 'refused', reason: `${text} is a position of another log` }
      const number = positionNumber(given)
      if (number === 0n || number > BigInt(await queryHead())) return { status: 'refused', reason: `${text} is beyond the head of the log` }
      return { status: 'resolved', position: given }
    },
    async head() {
      const head = await queryHead()
      return head === 0 ? undefined : at(head)
    },
    async fromLast(count) {
      const head = await queryHead()
      return count >= head ? 'start' : { after: at(head - count) }
    },
    clockSkewMs: committer.clockSkewMs,
    async close() {
      await committer.close()
      await pool.end()
    },
  }
}

/** The first rows of an ordered select that reach the bytes of a page. `octet_length` does not bring a body that is stored apart. */
function pageOf(select: string, order: 'pos' | 'rev'): string {
  return `select pos, stream, rev, encode(hash, 'hex') as hash, body, bytes
          from (select *, (sum(octet_length(body)) over (order by ${order} rows unbounded preceding))::integer as bytes from (${select}) rows) summed
          where bytes - octet_length(body) < ${PAGE_BYTES} order by ${order}`
}

function isFull(rows: readonly Row[]): boolean {
  return rows.length === PAGE_ROWS || (rows.at(-1)?.bytes ?? 0) >= PAGE_BYTES
}
