import type { RegistryName } from './results.ts'

/** A registry that runs, with a folder of its own. */
export type Registry = {
  readonly name: RegistryName
  readonly port: number
  /** What a request needs to be answered. */
  readonly headers: Readonly<Record<string, string>>
  readonly folder: string
  readonly processes: () => Processes
  /** Where it keeps a blob's bytes. */
  blobFile(digest: string): string
  /** Ends it and starts it anew; answers how many seconds the start took, until it was ready. */
  restart(): Promise<number>
  stop(): Promise<void>
  /** Only Varve records pulls. */
  readonly trail?: Trail
}

/** Process ids; `database` is of the Postgres that Varve brings. */
export type Processes = { readonly server: readonly number[]; readonly database: readonly number[] }

export type Trail = {
  /** The number of the log's last position. */
  head(): Promise<number>
  /** How many events the slowest of the projections, mostly the trail, is behind the log; on EventStoreDB, how many bytes. */
  lag(): Promise<number>
  /** How many pulls the log holds after a position. */
  recordedAfter(position: number): Promise<number>
  /** What the pull counters add up to. */
  counted(): Promise<number>
}
