import type { Person } from '../commands/user/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { Manifest } from '../oci/manifest.ts'
import type { Event, Recorded } from '../ports/event.ts'
import type { Sealed } from '../ports/key-store.ts'
import type { Lane } from '../ports/streams.ts'

/**
 * A column holds a value, or, where it is `{ numbered }`, the number that a dictionary table gives to a text: what repeats in
 * millions of rows stands once, and what is personal can be blanked in one place.
 */
export type ColumnType = 'text' | 'bigint' | 'integer' | 'boolean' | 'timestamptz'
export type Column = ColumnType | { readonly numbered: string }
export type Value = string | number | bigint | boolean | null
export type Row = Readonly<Record<string, Value>>

export type Table = {
  readonly name: string
  readonly columns: Readonly<Record<string, Column>>
  readonly key: readonly string[]
  /** Columns that a later put of the same key leaves as they were first written. */
  readonly keep?: readonly string[]
  /** No two events put the same key. A rebuild needs no index then to find what was put before, and makes the key's after the load. */
  readonly once?: true
  /** What stands behind `create index on <table>`, made after the first load. */
  readonly indexes?: readonly string[]
  /** The same for indexes that the table's own sets find rows by: made before the load. */
  readonly lookups?: readonly string[]
  /** It says things of people in clear: once one of them was forgotten, it is written anew. */
  readonly personal?: true
}

/**
 * What an event does to rows, in order. A put writes a whole row, a set changes columns of the rows whose columns equal `where`
 * (null matches null) and which name the key's first column, an add counts. Puts and sets may be applied twice; adds are counted once, by the checkpoint that moves with them.
 */
export type Change =
  | { readonly kind: 'put'; readonly table: Table; readonly row: Row }
  | { readonly kind: 'set'; readonly table: Table; readonly where: Row; readonly columns: Row }
  | {
      readonly kind: 'add'
      readonly table: Table
      readonly key: Row
      readonly count: Readonly<Record<string, number>>
      /** Columns that become the later of what they are and this. */
      readonly latest: Readonly<Record<string, string>>
    }

export const put = (table: Table, row: Row): Change => ({ kind: 'put', table, row })
export const set = (table: Table, where: Row, columns: Row): Change => ({ kind: 'set', table, where, columns })

/** What the sealed part of an actor or of a person says; undefined where the person was forgotten. */
export type PrivatePart = Partial<Person> & { readonly address?: string; readonly userAgent?: string }

/** What a fold may read beside its event. */
export type Reads = {
  /** A manifest never changes. Undefined where its bytes are gone. */
  readonly manifest: (digest: Digest, mediaType: string) => Promise<Manifest | undefined>
  readonly openPrivate: (sealed: Sealed) => Promise<PrivatePart | undefined>
  /** The log says that somebody was forgotten: from here on nothing of theirs is opened, also not by a key that was remembered or restored. */
  readonly forgotten: (subject: string) => Promise<void>
}

/** What a fold of one event will ask its context for. */
export type Needs = { readonly manifest?: { readonly digest: Digest; readonly mediaType: string }; readonly sealed?: readonly Sealed[] }

export type FoldContext = {
  /** How many events of the state lane there are up to this one: the number that repositories, artifacts and tags show. */
  readonly ordinal: number
  /** The order of time: the latest `at` of the state lane up to here. */
  readonly asOf: string
  /** The manifest that the event needs, undefined where its bytes are gone. */
  readonly manifest: Manifest | undefined
  /** What a sealed part that the event needs says, undefined where there is none or the person was forgotten. */
  readonly opened: (sealed: Sealed | undefined) => PrivatePart | undefined
}

/**
 * A read model as a fold: which rows each event changes. Every type that its lanes may hold must be handled, if only by nothing.
 * What it needs beside the event is read for many events at once, before they are folded.
 */
export type Projection = {
  readonly name: string
  readonly tables: readonly Table[]
  needs(event: Event): Needs
  fold(recorded: Recorded, context: FoldContext): readonly Change[]
}

/** Projections that move together, by one checkpoint. */
export type ProjectionGroup = {
  readonly name: string
  readonly lanes: readonly Lane[]
  /** Whether its commits are synced. One that answers requests must not fall back behind what it has shown when Postgres crashes. */
  readonly synced: boolean
  readonly projections: readonly Projection[]
}

/** The tables that number texts, one for each name that a numbered column gives. */
export function dictionariesOf(group: ProjectionGroup): string[] {
  const columns = group.projections.flatMap((projection) => projection.tables.flatMap((table) => Object.values(table.columns)))
  return [...new Set(columns.flatMap((column) => (typeof column === 'string' ? [] : [column.numbered])))].sort()
}
