import { Type } from '@sinclair/typebox'
import type { Static, TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'
import { parseDigest } from './digest.ts'
import type { Digest } from './digest.ts'
import { isRefusal, refusal } from './errors.ts'
import type { Refusal } from './errors.ts'
import {
  DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED, MANIFEST_KINDS, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST, isForeignLayer, isManifestMediaType,
} from './media-types.ts'
import type { ManifestMediaType } from './media-types.ts'

/** The distribution specification asks a registry to take at least 4 MiB (4 MB until 1.1); a larger body is the caller's to refuse. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

/** A Go client writes a nil slice, map or pointer as null, and reads null as absent: so do we. */
function optional<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

const Strings = Type.Record(Type.String(), Type.String())

const PlatformDocument = Type.Object({
  architecture: optional(Type.String()),
  os: optional(Type.String()),
  'os.version': optional(Type.String()),
  'os.features': optional(Type.Array(Type.String())),
  variant: optional(Type.String()),
})

const DescriptorDocument = Type.Object({
  mediaType: Type.String(),
  digest: Type.Unsafe<Digest>({ type: 'string', format: 'digest' }),
  size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  urls: optional(Type.Array(Type.String())),
  annotations: optional(Strings),
  artifactType: optional(Type.String()),
  platform: optional(PlatformDocument),
})

/** OCI's image manifest and docker's schema 2 manifest: the second is the first without `subject`, `artifactType`, `annotations`. */
const ImageDocument = Type.Object({
  schemaVersion: Type.Literal(2),
  config: DescriptorDocument,
  layers: optional(Type.Array(DescriptorDocument)),
  artifactType: optional(Type.String()),
  subject: optional(DescriptorDocument),
  annotations: optional(Strings),
})

/** OCI's image index and docker's manifest list. */
const IndexDocument = Type.Object({
  schemaVersion: Type.Literal(2),
  manifests: Type.Union([Type.Array(DescriptorDocument), Type.Null()]),
  artifactType: optional(Type.String()),
  subject: optional(DescriptorDocument),
  annotations: optional(Strings),
})

const ajv = new Ajv({ strict: true })
ajv.addFormat('digest', { type: 'string', validate: (text: string) => parseDigest(text) !== undefined })
const isImage = ajv.compile<Static<typeof ImageDocument>>(ImageDocument)
const isIndex = ajv.compile<Static<typeof IndexDocument>>(IndexDocument)

export type Platform = {
  readonly architecture?: string
  readonly os?: string
  readonly 'os.version'?: string
  readonly 'os.features'?: readonly string[]
  readonly variant?: string
}

export type Descriptor = {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly urls?: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly artifactType?: string
  readonly platform?: Platform
}

/** What the registry needs to know of a manifest. Its bytes are kept as they came, and are never made again from this. */
export type Manifest = {
  readonly mediaType: ManifestMediaType
  readonly kind: 'image' | 'index'
  /** The field of that name; where it is absent or empty, an image's is the media type of its config. */
  readonly artifactType?: string
  readonly subject?: Digest
  readonly config?: Descriptor
  /** An image's config and layers in this order, each digest once, without those that are `foreign`. */
  readonly blobs: readonly Descriptor[]
  /** Layers whose bytes a client need not push, each digest once. */
  readonly foreign: readonly Descriptor[]
  /** An index's entries as they stand there: one digest may come again with another platform. */
  readonly children: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

type JsonObject = Readonly<Record<string, unknown>>

/**
 * Reads a manifest, or says why it is none. What decides its type, the Content-Type, the body's `mediaType` and its shape, must
 * not contradict one another: two clients could read two different images from the same digest (CVE-2021-41190).
 */
export function parseManifest(bytes: Buffer, contentType: string | undefined): Manifest | Refusal {
  const parsed = parseBody(bytes)
  if (isRefusal(parsed)) return parsed
  const { body } = parsed
  const mediaType = decideMediaType(body, contentType)
  if (isRefusal(mediaType)) return mediaType
  if (MANIFEST_KINDS[mediaType] === 'image') return isImage(body) ? readImage(mediaType, body) : schemaRefusal(isImage)
  return isIndex(body) ? readIndex(mediaType, body) : schemaRefusal(isIndex)
}

function invalid(message: string): Refusal {
  return refusal('MANIFEST_INVALID', message)
}

function schemaRefusal(check: ValidateFunction): Refusal {
  const error = check.errors?.[0]
  // The path may hold a key of the client's, of any length.
  const path = error?.instancePath.slice(1, 200) || 'the document'
  return invalid(`manifest invalid: ${path} ${error?.message ?? 'breaks its schema'}`)
}

/** The body stands in a field of its own, or a body that says `refused` would pass for a refusal. */
function parseBody(bytes: Buffer): { readonly body: JsonObject } | Refusal {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return invalid('manifest invalid: not a JSON object')
    if (holdsUnstorable(text)) return invalid('manifest invalid: a string holds U+0000 or a lone surrogate')
    return { body: value as JsonObject }
  } catch {
    return invalid('manifest invalid: not JSON in UTF-8')
  }
}

const ESCAPES = /\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?:0000|[dD][89a-fA-F]..)|\\./g

/**
 * Whether any string, keys too, holds what Postgres takes for no text: in well-formed JSON and UTF-8 either can only come from an
 * escape. The text is scanned, and not the value walked, since a body may be nested deeper than a stack.
 */
function holdsUnstorable(text: string): boolean {
  if (!text.includes('\\u')) return false
  for (const [escape] of text.matchAll(ESCAPES)) {
    if (escape.length === '\\u0000'.length) return true
  }
  return false
}

/**
 * Go's JSON decoder takes `Layers` for `layers` (and a long s for an s), ours does not: whoever hides one behind the other shows
 * two clients two images.
 */
const KEYS_THAT_DECIDE = ['schemaVersion', 'mediaType', 'artifactType', 'config', 'layers', 'manifests', 'subject', 'fsLayers']
const CANONICAL_KEYS: ReadonlyMap<string, string> = new Map(KEYS_THAT_DECIDE.map((key) => [key.toLowerCase(), key]))

function decideMediaType(body: JsonObject, contentType: string | undefined): ManifestMediaType | Refusal {
  for (const key of Object.keys(body)) {
    const canonical = CANONICAL_KEYS.get(key.toUpperCase().toLowerCase())
    if (canonical !== undefined && canonical !== key) return invalid(`manifest invalid: ${key} instead of ${canonical}`)
  }
  const has = (key: string) => body[key] !== undefined && body[key] !== null
  const sent = contentType?.split(';')[0]?.trim().toLowerCase() || undefined
  const written = body['mediaType'] ?? ''
  if (typeof written !== 'string') return invalid('manifest invalid: mediaType must be string')

  const isSchema1Type = (type: string | undefined) => type === DOCKER_SCHEMA_1 || type === DOCKER_SCHEMA_1_SIGNED
  if (isSchema1Type(sent) || isSchema1Type(written) || body['schemaVersion'] === 1 || has('fsLayers')) {
    return invalid('docker image manifest schema 1 is not supported; push the image again with a current client (schema 2 or OCI)')
  }
  if (has('manifests') && (has('layers') || has('config'))) {
    return invalid('manifest invalid: it has the fields of an image (config, layers) and of an index (manifests)')
  }
  if (sent !== undefined && !isManifestMediaType(sent)) return invalid(`manifest invalid: unknown Content-Type ${sent.slice(0, 200)}`)
  if (written !== '' && !isManifestMediaType(written)) return invalid('manifest invalid: its mediaType is none of a manifest')
  if (sent !== undefined && written !== '' && sent !== written) {
    return invalid(`manifest invalid: its mediaType is ${written}, but the Content-Type is ${sent}`)
  }
  const mediaType = sent ?? (written || ('manifests' in body && !has('config') && !has('layers') ? OCI_IMAGE_INDEX : OCI_IMAGE_MANIFEST))
  const contradiction = MANIFEST_KINDS[mediaType] === 'image' ? ['manifests'] : ['config', 'layers']
  if (contradiction.some(has)) return invalid(`manifest invalid: ${mediaType} has no field ${contradiction.filter(has).join(', ')}`)
  return mediaType
}

function readImage(mediaType: ManifestMediaType, document: Static<typeof ImageDocument>): Manifest {
  const config = readDescriptor(document.config)
  const blobs = new Map([[config.digest, config]])
  const foreign = new Map<Digest, Descriptor>()
  for (const layer of (document.layers ?? []).map(readDescriptor)) {
    const list = isForeignLayer(layer.mediaType) ? foreign : blobs
    if (!list.has(layer.digest)) list.set(layer.digest, layer)
  }
  const artifactType = document.artifactType || config.mediaType
  return {
    mediaType,
    kind: 'image',
    ...(artifactType !== '' && { artifactType }),
    ...readCommon(document),
    config,
    blobs: [...blobs.values()],
    foreign: [...foreign.values()].filter(({ digest }) => !blobs.has(digest)),
    children: [],
  }
}

function readIndex(mediaType: ManifestMediaType, document: Static<typeof IndexDocument>): Manifest {
  return {
    mediaType,
    kind: 'index',
    ...(document.artifactType && { artifactType: document.artifactType }),
    ...readCommon(document),
    blobs: [],
    foreign: [],
    children: (document.manifests ?? []).map(readDescriptor),
  }
}

function readCommon(document: Static<typeof ImageDocument> | Static<typeof IndexDocument>) {
  return {
    ...(document.subject && { subject: document.subject.digest }),
    ...(document.annotations && { annotations: document.annotations }),
  }
}

function readDescriptor(document: Static<typeof DescriptorDocument>): Descriptor {
  const { mediaType, digest, size, urls, annotations, artifactType, platform } = document
  return {
    mediaType,
    digest,
    size,
    ...(urls && { urls }),
    ...(annotations && { annotations }),
    ...(artifactType && { artifactType }),
    ...(platform && { platform: readPlatform(platform) }),
  }
}

function readPlatform(document: Static<typeof PlatformDocument>): Platform {
  return {
    ...(document.architecture && { architecture: document.architecture }),
    ...(document.os && { os: document.os }),
    ...(document['os.version'] && { 'os.version': document['os.version'] }),
    ...(document['os.features'] && { 'os.features': document['os.features'] }),
    ...(document.variant && { variant: document.variant }),
  }
}
