import { Type } from '@sinclair/typebox'
import type { Static, TSchema } from '@sinclair/typebox'
import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/names.ts'
import type { Sealed } from './key-store.ts'
import type { RepositoryKey } from './streams.ts'
import type { Position } from './position.ts'
import { UUID_PATTERN } from './uuid.ts'

/** What happened: the part of an event that a decision makes. */
export type Fact = { readonly type: string; readonly version: number; readonly data: unknown }

/** `kind` and the random id of who did it; `operator` is the command on the machine, `system` this process (its subject is the boot). */
export type Actor = {
  readonly kind: 'user' | 'robot' | 'anonymous' | 'operator' | 'peer' | 'system'
  readonly subject: string
}

/** A fact with who, when and why: what the log keeps, and what its hash covers. It holds neither stream nor position. */
export type Event<F extends Fact = Fact> = F & {
  readonly id: string
  /** `YYYY-MM-DDTHH:MM:SS.mmmZ`, by the writer's honest clock. */
  readonly at: string
  readonly actor: Actor
  /** Name, address and user agent, sealed under the actor's own key. */
  readonly private?: Sealed
  readonly requestId?: string
  /** The bulk command that it belongs to. */
  readonly operation?: string
  /** Where it happened first, and that event's id: handed on unchanged between registries. */
  readonly origin?: { readonly registry: string; readonly id: string }
}

/** An event as the log gives it. */
export type Recorded<F extends Fact = Fact> = {
  readonly event: Event<F>
  readonly stream: string
  readonly revision: number
  readonly position: Position
  /** sha256 of the event's canonical form as first written, lower-case hex. */
  readonly hash: string
}

/**
 * An event type is a value: called, it makes the fact; its schema guards what is written and what is read.
 * `upcast` turns the data of an older version into this one's: `upcast[1]` takes version 1 to version 2.
 */
export type EventType<T extends string, S extends TSchema> = EventKind<T> & {
  (data: Static<S>): { readonly type: T; readonly version: number; readonly data: Static<S> }
}

export type EventKind<T extends string = string> = {
  readonly type: T
  readonly version: number
  readonly schemas: Readonly<Record<number, TSchema>>
  readonly upcast: Readonly<Record<number, (data: unknown) => unknown>>
}

/**
 * An event type whose data has this shape today. `older`: the shapes that it had before, version 1 first, and a way from each to the next,
 * as `EventType` says.
 */
export function eventType<const T extends string, S extends TSchema>(
  type: T,
  schema: S,
  older: { readonly schemas: readonly TSchema[]; readonly upcast: EventKind['upcast'] } = { schemas: [], upcast: {} },
): EventType<T, S> {
  const version = older.schemas.length + 1
  const schemas = Object.fromEntries([...older.schemas, schema].map((each, index) => [index + 1, each]))
  const make = (data: Static<S>) => ({ type, version, data })
  return Object.assign(make, { type, version, schemas, upcast: older.upcast })
}

/** The fact that an event type makes. */
export type FactOf<E> = E extends (...data: never) => infer F ? F : never

/** The words that event schemas share. */
export const DigestText = Type.Unsafe<Digest>({ type: 'string', format: 'digest' })
export const TagText = Type.Unsafe<Tag>({ type: 'string', format: 'tag' })
/** A repository's key, `<project id>/<path>`. */
export const RepositoryText = Type.Unsafe<RepositoryKey>({ type: 'string', pattern: '^[0-9a-f-]{36}/[^/].*$', maxLength: 300 })
export const Uuid = Type.String({ pattern: UUID_PATTERN })
/** `YYYY-MM-DDTHH:MM:SS.mmmZ`, of a day and time that there is. */
export const Instant = Type.String({ format: 'instant' })
export const Size = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
export const SealedText = Type.Unsafe<Sealed>({ type: 'string', pattern: '^[A-Za-z0-9_-]+$' })
/** A data object: nothing may stand in it that its schema does not name. */
export const closed = { additionalProperties: false }
