import type { Digest } from '../../oci/digest.ts'
import { isRefusal, refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import { OCTET_STREAM } from '../../oci/media-types.ts'
import type { Reference } from '../../oci/names.ts'
import type { Pull } from '../../commands/activity/record.ts'
import { MAX_WHOLE_BYTES } from '../../ports/blob-store.ts'
import type { ByteRange } from '../../ports/blob-store.ts'
import type { Registry } from '../registry.ts'
import { admit } from './admit.ts'
import type { Reply } from '../reply.ts'
import type { RepositoryExchange } from './exchange.ts'
import { matchesEtag, mayRange, parseRange } from './ranges.ts'

/** `GET` and `HEAD /v2/<name>/manifests/<reference>` (end-3, main branch: with ranges and conditions). */
export async function getManifest(registry: Registry, exchange: RepositoryExchange, reference: Reference): Promise<Reply | Refusal> {
  const unknown = refusal('MANIFEST_UNKNOWN', `manifest unknown to repository ${exchange.name}`)
  const admitted = await admit(registry, exchange, 'pull', reference.kind === 'tag' ? reference.tag : reference.digest, unknown)
  if (isRefusal(admitted)) return admitted
  const { key } = admitted
  const digest = reference.kind === 'tag' ? await registry.reader.tag(key, reference.tag) : reference.digest
  const manifest = digest === undefined ? undefined : await registry.reader.manifest(key, digest)
  if (manifest === undefined) return unknown

  const pull = {
    caller: exchange.caller,
    repository: key,
    digest: manifest.digest,
    requestId: exchange.requestId,
    ...(reference.kind === 'tag' ? { reference: reference.tag } : {}),
  }
  const headers = {
    'Content-Type': manifest.mediaType,
    'Docker-Content-Digest': manifest.digest,
    ETag: `"${manifest.digest}"`,
    'Accept-Ranges': 'bytes',
  }
  return answer(registry, exchange, pull, manifest.sizeBytes, headers, unknown)
}

/** `GET` and `HEAD /v2/<name>/blobs/<digest>` (end-2). */
export async function getBlob(registry: Registry, exchange: RepositoryExchange, digest: Digest): Promise<Reply | Refusal> {
  const unknown = refusal('BLOB_UNKNOWN', `blob unknown to repository ${exchange.name}`)
  const admitted = await admit(registry, exchange, 'pull', digest, unknown)
  if (isRefusal(admitted)) return admitted
  const { key } = admitted
  const sizeBytes = await registry.reader.blob(key, digest)
  if (sizeBytes === undefined) return unknown
  const pull = { caller: exchange.caller, repository: key, digest, blob: true as const, requestId: exchange.requestId }
  const headers = { 'Content-Type': OCTET_STREAM, 'Docker-Content-Digest': digest, ETag: `"${digest}"`, 'Accept-Ranges': 'bytes' }
  return answer(registry, exchange, pull, sizeBytes, headers, unknown)
}

/**
 * Answers with content by its digest. What leaves with bytes is on record first; a HEAD by tag and a GET answered 304 are recorded
 * without being waited for, since they are how some clients resolve a tag.
 */
async function answer(
  registry: Registry,
  { request }: RepositoryExchange,
  pull: Pull,
  sizeBytes: number,
  headers: NonNullable<Reply['headers']>,
  unknown: Refusal,
): Promise<Reply | Refusal> {
  const head = request.method === 'HEAD'
  if (matchesEtag(request.headers['if-none-match'], pull.digest)) {
    if (!head || pull.reference !== undefined) registry.recorder.note({ ...pull, status: 304, ...(head ? { method: 'HEAD' } : {}) })
    return { status: 304, headers }
  }
  const ranged = !head && mayRange(request.headers['if-range'], pull.digest)
  const range = ranged ? parseRange(request.headers.range, sizeBytes) : undefined
  if (range === 'unsatisfiable') {
    return refusal('SIZE_INVALID', `the range lies outside of ${sizeBytes} bytes`, { status: 416, headers: { 'Content-Range': `bytes */${sizeBytes}` } })
  }
  const content = await contentOf(registry, pull.digest, sizeBytes, range, head)
  if (content === undefined) return unknown
  if (head) {
    if (pull.reference !== undefined) registry.recorder.note({ ...pull, method: 'HEAD' })
    return { status: 200, headers, sizeBytes }
  }
  await registry.recorder.record(range === undefined ? pull : { ...pull, status: 206, range: `${range.first}-${range.last}` })
  registry.metrics.pulled(pull.blob === true ? 'blob' : 'manifest')
  if (range === undefined) return { status: 200, headers, ...content }
  return { status: 206, headers: { ...headers, 'Content-Range': `bytes ${range.first}-${range.last}/${sizeBytes}` }, ...content }
}

/** The bytes, or undefined where the file is missing or of another size than was pushed: it is not what the digest promises. */
async function contentOf(
  registry: Registry,
  digest: Digest,
  sizeBytes: number,
  range: ByteRange | undefined,
  head: boolean,
): Promise<Pick<Reply, 'body' | 'stream'> | undefined> {
  if (sizeBytes <= MAX_WHOLE_BYTES && !head) {
    const body = await registry.blobs.read(digest)
    if (body?.length !== sizeBytes) return undefined
    return { body: range === undefined ? body : body.subarray(range.first, range.last + 1) }
  }
  const stat = await registry.blobs.stat(digest)
  if (stat?.sizeBytes !== sizeBytes) return undefined
  if (head) return {}
  const bytes = await registry.blobs.open(digest, range)
  return bytes === undefined ? undefined : { stream: { bytes, sizeBytes: range === undefined ? sizeBytes : range.last - range.first + 1 } }
}
