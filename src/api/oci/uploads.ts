import { randomUUID } from 'node:crypto'
import { parseAlgorithm, parseDigest, algorithmOf } from '../../oci/digest.ts'
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import { isRefusal, refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import { parseRepositoryName, splitRepositoryName } from '../../oci/names.ts'
import { uploadAggregate } from '../../commands/upload/aggregate.ts'
import { BlobMounted, BlobUploaded } from '../../commands/upload/events.ts'
import type { UploadFact } from '../../commands/upload/events.ts'
import type { UploadId } from '../../ports/blob-store.ts'
import { splitRepositoryKey } from '../../ports/streams.ts'
import type { RepositoryKey } from '../../ports/streams.ts'
import type { Registry } from '../registry.ts'
import { mayPull } from '../../commands/access/rights.ts'
import { covers } from '../../identity/tokens/scope.ts'
import { admit, admitPush, mayPullFrom } from './admit.ts'
import { neededFor, unauthorized } from './challenge.ts'
import { perform } from '../perform.ts'
import { projectEnded } from '../project-end.ts'
import { positionHeader } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { RepositoryExchange } from './exchange.ts'
import { parseContentRange } from './ranges.ts'

/** A mount without a source looks at this many repositories that hold the blob. */
const MAX_MOUNT_SOURCES = 100

const unknownUpload = refusal('BLOB_UPLOAD_UNKNOWN', 'there is no such upload in this repository')
const busy = refusal('BLOB_UPLOAD_INVALID', 'another request writes to this upload at this moment', { status: 416 })
const noSpace = refusal('UNAVAILABLE', 'the registry has no space left for pushes')

/** `POST /v2/<name>/blobs/uploads/` (end-4a, 4b with `?digest=`, 11 with `?mount=`; main branch: `?digest-algorithm=`). */
export async function startUpload(registry: Registry, exchange: RepositoryExchange): Promise<Reply | Refusal> {
  const { query } = exchange
  const digest = optionalDigest(query.get('digest'))
  const mount = optionalDigest(query.get('mount'))
  if (isRefusal(digest)) return digest
  if (isRefusal(mount)) return mount
  const algorithm = parseAlgorithm(query.get('digest-algorithm') ?? (digest === undefined ? 'sha256' : algorithmOf(digest)))
  if (algorithm === undefined) return refusal('DIGEST_INVALID', 'the digest algorithm is not supported: sha256 and sha512 are')
  const admitted = await admitPush(registry, exchange, undefined)
  if (isRefusal(admitted)) return admitted
  const { key } = admitted

  if (mount !== undefined) {
    const wider = await widerTokenFor(registry, exchange)
    if (wider !== undefined) return wider
    const mounted = await mountBlob(registry, exchange, key, mount)
    if (mounted !== undefined) return mounted
  }
  const id = await registry.blobs.openUpload(algorithm)
  if (id === 'no-space') return noSpace
  if (digest !== undefined) return pushAtOnce(registry, exchange, key, id, digest)
  await registry.sessions.create(id, { repository: key, algorithm })
  return { status: 202, headers: uploadHeaders(exchange, id, 0) }
}

const nothingKept = (): Promise<void> => Promise.resolve()

/** Nobody was told of this upload, so whatever does not become a blob is nobody's to go on with. */
async function pushAtOnce(registry: Registry, exchange: RepositoryExchange, key: RepositoryKey, id: UploadId, digest: Digest): Promise<Reply | Refusal> {
  let answered: Reply | Refusal | undefined
  try {
    answered = await finish(registry, exchange, key, id, digest, nothingKept)
    return answered
  } finally {
    if (answered === undefined || isRefusal(answered)) await registry.blobs.cancel(id)
  }
}

function optionalDigest(text: string | null): Digest | undefined | Refusal {
  if (text === null) return undefined
  return parseDigest(text) ?? refusal('DIGEST_INVALID', 'the digest is malformed, or of an algorithm that is not supported')
}

/** Mounts a blob that the caller may pull elsewhere; undefined where there is none, and an upload is the way then. */
async function mountBlob(registry: Registry, exchange: RepositoryExchange, key: RepositoryKey, digest: Digest): Promise<Reply | Refusal | undefined> {
  const source = await mountSource(registry, exchange, digest)
  if (source === undefined || (await registry.blobs.stat(digest))?.sizeBytes !== source.sizeBytes) return undefined
  const fact = BlobMounted({ repository: key, digest, size: source.sizeBytes, from: source.repository })
  return conclude(registry, exchange, randomUUID(), fact)
}

/**
 * A mount needs a pull of its source. Where the caller may do that, but their token was given for less, they are told to fetch another
 * one; where they may not, an upload is the way, as if the source were not there.
 */
async function widerTokenFor(registry: Registry, exchange: RepositoryExchange): Promise<Refusal | undefined> {
  const { subject, scope, query, name } = exchange
  const from = parseRepositoryName(query.get('from') ?? '')
  if (from === undefined || scope === undefined) return undefined
  const needed = [...neededFor(name, 'push'), ...neededFor(from, 'pull')]
  if (needed.every((each) => covers(scope, each))) return undefined
  const project = await registry.identity.project(splitRepositoryName(from).project)
  const may = project !== undefined && mayPull(subject, project, undefined, registry.now())
  return may ? unauthorized(registry, { needed, error: 'insufficient_scope' }) : undefined
}

async function mountSource(
  registry: Registry,
  exchange: RepositoryExchange,
  digest: Digest,
): Promise<{ readonly repository: RepositoryKey; readonly sizeBytes: number } | undefined> {
  const from = exchange.query.get('from')
  if (from !== null) {
    const name = parseRepositoryName(from)
    const source = name && (await mayPullFrom(registry, exchange, name, digest))
    const sizeBytes = source && (await registry.reader.blob(source.key, digest))
    return source === undefined || sizeBytes === undefined ? undefined : { repository: source.key, sizeBytes }
  }
  for (const holder of await registry.queries().repositoriesWithBlob(digest, MAX_MOUNT_SOURCES)) {
    const { project: id, path } = splitRepositoryKey(holder.repository)
    const project = await registry.identity.projectById(id)
    const name = project && parseRepositoryName(`${project.name}/${path}`)
    if (name !== undefined && (await mayPullFrom(registry, exchange, name, digest)) !== undefined) return holder
  }
  return undefined
}

/** Bytes are stored; now the fact, and then the answer. */
async function conclude(registry: Registry, exchange: RepositoryExchange, id: string, fact: UploadFact): Promise<Reply | Refusal> {
  const { repository, digest } = fact.data
  const { position } = await perform(registry, exchange, uploadAggregate(id), fact)
  if ((await registry.identity.projectById(splitRepositoryKey(repository).project)) === undefined) return projectEnded
  registry.metrics.pushed('blob')
  return { status: 201, headers: { ...blobHeaders(exchange, digest), ...positionHeader(position) } }
}

/** The upload, if it was begun in this repository: an id from elsewhere is unknown here. */
async function find(registry: Registry, exchange: RepositoryExchange, id: UploadId): Promise<{ key: RepositoryKey; algorithm: DigestAlgorithm } | Refusal> {
  const admitted = await admit(registry, exchange, 'push', undefined, unknownUpload)
  if (isRefusal(admitted)) return admitted
  const { key } = admitted
  const session = await registry.sessions.get(id)
  return session?.repository === key ? { key, algorithm: session.algorithm } : unknownUpload
}

/** `PATCH <location>` (end-5): a chunk at its Content-Range, or a stream without one. */
export async function patchUpload(registry: Registry, exchange: RepositoryExchange, id: UploadId): Promise<Reply | Refusal> {
  const found = await find(registry, exchange, id)
  if (isRefusal(found)) return found
  const sizeBytes = await receive(registry, exchange, id)
  if (isRefusal(sizeBytes)) return sizeBytes
  return { status: 202, headers: uploadHeaders(exchange, id, sizeBytes) }
}

/** `PUT <location>?digest=` (end-6): the last chunk or none, and the end. */
export async function putUpload(registry: Registry, exchange: RepositoryExchange, id: UploadId): Promise<Reply | Refusal> {
  const text = exchange.query.get('digest')
  if (text === null) return refusal('DIGEST_INVALID', 'the closing request names no digest')
  const digest = optionalDigest(text)
  if (digest === undefined || isRefusal(digest)) return digest ?? unknownUpload
  const found = await find(registry, exchange, id)
  if (isRefusal(found)) return found
  return finish(registry, exchange, found.key, id, digest, () => registry.sessions.remove(id))
}

/** Receives the last bytes, makes them the blob, and says so to the log, while `forget` ends what was kept of an upload that is gone. */
async function finish(
  registry: Registry, exchange: RepositoryExchange, key: RepositoryKey, id: UploadId, digest: Digest, forget: () => Promise<void>,
): Promise<Reply | Refusal> {
  const received = await receive(registry, exchange, id)
  if (isRefusal(received)) return received
  const committed = await registry.blobs.commit(id, digest)
  switch (committed.status) {
    case 'unknown-upload':
      return unknownUpload
    case 'busy':
      return busy
    case 'digest-mismatch':
      return refusal('DIGEST_INVALID', `the bytes have the digest ${committed.actual}, not ${digest}`)
    case 'committed': {
      const fact = BlobUploaded({ repository: key, digest, size: committed.sizeBytes })
      const [reply] = await Promise.all([conclude(registry, exchange, id, fact), forget()])
      return reply
    }
  }
}

/** Takes the request's body into the upload and answers its size, counted in bytes that came. */
async function receive(registry: Registry, exchange: RepositoryExchange, id: UploadId): Promise<number | Refusal> {
  const { request, body } = exchange
  const header = request.headers['content-range']
  const range = header === undefined ? undefined : parseContentRange(header)
  if (header !== undefined && range === undefined) return refusal('BLOB_UPLOAD_INVALID', 'the Content-Range is malformed')
  const length = request.headers['content-length']
  if (range !== undefined && length !== undefined && Number(length) !== range.last - range.first + 1) {
    return refusal('SIZE_INVALID', 'Content-Range and Content-Length contradict each other')
  }
  const appended = await registry.blobs.append(id, range?.first, body())
  switch (appended.status) {
    case 'unknown-upload':
      return unknownUpload
    case 'no-space':
      return noSpace
    case 'busy':
      return busy
    case 'wrong-offset':
      return refusal('BLOB_UPLOAD_INVALID', `the upload has ${appended.sizeBytes} bytes: the next chunk begins there`, {
        status: 416,
        headers: uploadHeaders(exchange, id, appended.sizeBytes),
      })
    case 'appended':
      if (range !== undefined && appended.sizeBytes !== range.last + 1) return refusal('SIZE_INVALID', 'the chunk is shorter or longer than its Content-Range')
      return appended.sizeBytes
  }
}

/** `GET <location>` (end-13): how far it has come. */
export async function getUpload(registry: Registry, exchange: RepositoryExchange, id: UploadId): Promise<Reply | Refusal> {
  const found = await find(registry, exchange, id)
  if (isRefusal(found)) return found
  const sizeBytes = await registry.blobs.uploadSize(id)
  return sizeBytes === undefined ? unknownUpload : { status: 204, headers: uploadHeaders(exchange, id, sizeBytes) }
}

/** `DELETE <location>` (end-14). */
export async function cancelUpload(registry: Registry, exchange: RepositoryExchange, id: UploadId): Promise<Reply | Refusal> {
  const found = await find(registry, exchange, id)
  if (isRefusal(found)) return found
  await registry.sessions.remove(id)
  return (await registry.blobs.cancel(id)) ? { status: 204 } : unknownUpload
}

/** Where the next request goes and what is there. An upload without a byte says `0-0`, as clients expect it. */
function uploadHeaders({ name }: RepositoryExchange, id: UploadId, sizeBytes: number): Record<string, string> {
  return { Location: `/v2/${name}/blobs/uploads/${id}`, Range: `0-${Math.max(0, sizeBytes - 1)}`, 'Docker-Upload-UUID': id }
}

function blobHeaders({ name }: RepositoryExchange, digest: Digest): Record<string, string> {
  return { Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest }
}
