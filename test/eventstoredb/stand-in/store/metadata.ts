import { END_OF_STREAM } from './record.ts'

/** Who may do what with a stream: names of users and groups, `$all` for everybody. What is absent is left to the default. */
export type Acl = {
  readonly read?: Roles
  readonly write?: Roles
  readonly delete?: Roles
  readonly metadataRead?: Roles
  readonly metadataWrite?: Roles
}
type Roles = readonly string[]

/** What a stream's metadata say. They hide the events before `truncateBefore`, beyond the last `maxCount`, older than `maxAgeSeconds`. */
export type StreamMetadata = {
  readonly truncateBefore?: bigint
  readonly maxCount?: bigint
  readonly maxAgeSeconds?: bigint
  readonly acl?: Acl
}

/** Of what a metadata event holds. What is no JSON, or of another type than it should be, counts as absent. */
export function parseMetadata(data: Uint8Array): StreamMetadata {
  const plain = parseObject(data)
  if (plain === undefined) return {}
  return withoutAbsent({
    truncateBefore: integer(plain['$tb']),
    maxCount: integer(plain['$maxCount']),
    maxAgeSeconds: integer(plain['$maxAge']),
    acl: parseAcl(plain['$acl']),
  })
}

/** The bytes of a metadata event with another `$tb`, the rest of it as it was. */
export function withTruncateBefore(data: Uint8Array | undefined, revision: bigint): Uint8Array {
  const plain = data === undefined ? {} : (parseObject(data) ?? {})
  // JSON.stringify has no number that large: the rest is written, and the number put behind it.
  const rest = JSON.stringify(Object.fromEntries(Object.entries(plain).filter(([name]) => name !== '$tb'))).slice(1, -1)
  return Buffer.from(`{${rest}${rest === '' ? '' : ','}"$tb":${revision}}`)
}

export function isDeleted(metadata: StreamMetadata): boolean {
  return metadata.truncateBefore === END_OF_STREAM
}

/** An object that `$acl`, `$userStreamAcl` or `$systemStreamAcl` is. */
export function parseAcl(value: unknown): Acl | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const plain = value as Readonly<Record<string, unknown>>
  return withoutAbsent({
    read: roles(plain['$r']),
    write: roles(plain['$w']),
    delete: roles(plain['$d']),
    metadataRead: roles(plain['$mr']),
    metadataWrite: roles(plain['$mw']),
  })
}

function parseObject(data: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    // A `$tb` beyond 2^53 comes out rounded, so it is read from its own text.
    const value: unknown = JSON.parse(Buffer.from(data).toString('utf8'), (_name, each: unknown, context?: { source?: string }) =>
      typeof each === 'number' && Number.isInteger(each) && !Number.isSafeInteger(each) ? BigInt(context?.source ?? 0) : each,
    )
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

function integer(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : undefined
}

function roles(value: unknown): Roles | undefined {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : undefined
}

type Present<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> }

function withoutAbsent<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Present<T>
}
