/** In milliseconds. */
export type Latency = { readonly p50: number; readonly p90: number; readonly p99: number; readonly p999: number; readonly max: number }

/** Of the registry's own processes, and of the Postgres that Varve brings. */
export type Split = { readonly server: number; readonly database?: number }

/** One measurement: of one row, one registry, one round. */
export type Figures = {
  /** In the row's unit. */
  readonly value: number
  readonly latency?: Latency
  /** Requests that got the answer they should. */
  readonly answered?: number
  /** Requests that did not. */
  readonly failed?: number
  /** CPU time a request, in µs. Varve's is taken when the trail has caught up, so it pays for what it put off. */
  readonly cpuMicros?: Split
  /** The server's highest resident memory during the row; Postgres's at the end of the load, with shared memory counted once. */
  readonly memoryMiB?: Split
  /** Pulls that the log has more than before. */
  readonly recorded?: number
  /** How many events the trail was behind at the end of the load, and how long it took to catch up. */
  readonly lagEvents?: number
  readonly drainSeconds?: number
}

export type RegistryName = 'Varve' | 'distribution' | 'docker-registry' | 'nginx'

export type Run = {
  readonly date: string
  readonly commit: string
  readonly rounds: number
  readonly seconds: number
  readonly machine: Readonly<Record<string, string>>
  readonly versions: Readonly<Record<string, string>>
}

export type RowResult = {
  readonly group: string
  readonly name: string
  readonly unit: Unit
  /** The date of the run that measured it. */
  readonly run: string
  /** A registry's figures, a round each. */
  readonly measured: Readonly<Partial<Record<RegistryName, readonly Figures[]>>>
}

/** Of all but rates less is better. */
export type Unit = 'requests/s' | 'MB/s' | 'pushes/s' | 's' | 'ms' | 'MiB' | Cost

/** Of a thousand pulls, in the log. */
type Cost = 'appends' | 'events' | 'bytes'

export type Results = { readonly runs: readonly Run[]; readonly rows: readonly RowResult[] }

const lessIsBetter = (unit: Unit): boolean => !unit.endsWith('/s')

/** Rows measured again replace what they were, in place; runs of which no row is left go. */
export function merge(before: Results, run: Run, measured: readonly RowResult[]): Results {
  const fresh = new Map(measured.map((row) => [row.name, row]))
  const kept = before.rows.map((row) => fresh.get(row.name) ?? row)
  const rows = [...kept, ...measured.filter((row) => !before.rows.some(({ name }) => name === row.name))]
  const runs = [...before.runs.filter(({ date }) => date !== run.date), run]
  return { runs: runs.filter(({ date }) => rows.some((row) => row.run === date)), rows }
}

/** As it is kept: a line a row, no digits that mean nothing. */
export function resultsText({ runs, rows }: Results): string {
  const line = (value: object): string =>
    JSON.stringify(value, (_, each: unknown) => (typeof each === 'number' && !Number.isInteger(each) ? Number(each.toPrecision(5)) : each))
  return `{"runs": [\n${runs.map(line).join(',\n')}\n], "rows": [\n${rows.map(line).join(',\n')}\n]}\n`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}

/** Undefined where the registry took no part. */
export function medianOf(row: RowResult, name: RegistryName): number | undefined {
  const rounds = row.measured[name] ?? []
  return rounds.length === 0 ? undefined : median(rounds.map(({ value }) => value))
}

/** How many times as fast, or as small, one registry is as another; above 1 is better, whatever the unit. */
export function timesAsGood(row: RowResult, name: RegistryName, other: RegistryName): number | undefined {
  const [own, others] = [medianOf(row, name), medianOf(row, other)]
  if (own === undefined || others === undefined) return undefined
  return lessIsBetter(row.unit) ? others / own : own / others
}

/** From values in milliseconds, in any order. */
export function latencyOf(milliseconds: readonly number[]): Latency {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) }
}
