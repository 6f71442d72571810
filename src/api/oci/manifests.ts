import { digestOf } from '../../oci/digest.ts'
import type { Digest } from '../../oci/digest.ts'
import { isRefusal, refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import { MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.ts'
import { parseTag } from '../../oci/names.ts'
import type { Reference, Tag } from '../../oci/names.ts'
import { algorithmOf } from '../../oci/digest.ts'
import { mayPush } from '../../commands/access/rights.ts'
import { repositoryAggregate } from '../../commands/repository/aggregate.ts'
import type { RepositoryCommand } from '../../commands/repository/decide.ts'
import type { Registry } from '../registry.ts'
import { admit, admitPush, refusedPush } from './admit.ts'
import { HELD_BODY_MS } from '../held-body.ts'
import { perform } from '../perform.ts'
import { keepProject, projectEnded } from '../project-end.ts'
import { positionHeader } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { RepositoryExchange } from './exchange.ts'

/** More tags in one push than this get 414 (main branch: at least ten must be taken). */
const MAX_TAGS = 500

/** `PUT /v2/<name>/manifests/<reference>` (end-7), with `?tag=` as often as wanted where the reference is a digest. */
export async function putManifest(registry: Registry, exchange: RepositoryExchange, reference: Reference): Promise<Reply | Refusal> {
  const tags = tagsOf(exchange, reference)
  if (isRefusal(tags)) return tags
  const [first = reference.kind === 'tag' ? reference.tag : reference.digest, ...others] = tags
  // Before its body is taken: whoever may not push would else have 4 MiB held for each connection.
  const refused = await refusedPush(registry, exchange, first)
  if (refused !== undefined) return refused
  const bytes = await readBody(exchange)
  if (isRefusal(bytes)) return bytes
  const digest = digestOf(reference.kind === 'digest' ? algorithmOf(reference.digest) : 'sha256', bytes)
  if (reference.kind === 'digest' && digest !== reference.digest) {
    return refusal('DIGEST_INVALID', `the manifest has the digest ${digest}, not ${reference.digest}`)
  }
  const manifest = parseManifest(bytes, exchange.request.headers['content-type'])
  if (isRefusal(manifest)) return manifest
  const admitted = await admitPush(registry, exchange, first)
  if (isRefusal(admitted)) return admitted
  const { key, project } = admitted
  if (others.some((tag) => !mayPush(exchange.subject, project, tag, registry.now()))) return refusal('DENIED')

  if ((await registry.blobs.put(digest, bytes)) === 'no-space') return refusal('UNAVAILABLE', 'the registry has no space left for pushes')
  const command: RepositoryCommand = {
    type: 'PushManifest',
    digest,
    mediaType: manifest.mediaType,
    sizeBytes: bytes.length,
    ...(manifest.subject === undefined ? {} : { subject: manifest.subject }),
    tags,
    references: reference.kind === 'tag' ? [reference.tag] : [digest, ...tags],
    blobs: manifest.blobs.map((blob) => blob.digest),
    children: [...new Set(manifest.children.map((child) => child.digest))],
    sparse: registry.sparse,
  }
  const handled = await perform(registry, exchange, repositoryAggregate(registry.decisionRows, key), command)
  if (isRefusal(handled.outcome)) return handled.outcome
  if (!(await keepProject(registry, exchange, project.id, handled.visible))) return projectEnded
  registry.metrics.pushed('manifest')
  const headers = {
    Location: `/v2/${exchange.name}/manifests/${reference.kind === 'tag' ? reference.tag : digest}`,
    'Docker-Content-Digest': digest,
    ...(manifest.subject === undefined ? {} : { 'OCI-Subject': manifest.subject }),
    ...(reference.kind === 'digest' && tags.length > 0 ? { 'OCI-Tag': tags } : {}),
    ...positionHeader(handled.position),
  }
  return { status: 201, headers }
}

function tagsOf({ query }: RepositoryExchange, reference: Reference): readonly Tag[] | Refusal {
  if (reference.kind === 'tag') return [reference.tag]
  const asked = [...new Set(query.getAll('tag'))]
  if (asked.length > MAX_TAGS) return refusal('UNSUPPORTED', `at most ${MAX_TAGS} tags in one push`, { status: 414 })
  const tags = asked.map((text) => parseTag(text))
  const parsed = tags.filter((tag) => tag !== undefined)
  return parsed.length === tags.length ? parsed : refusal('MANIFEST_INVALID', 'a tag parameter is no tag')
}

async function readBody({ request, body }: RepositoryExchange): Promise<Buffer | Refusal> {
  const tooLarge = refusal('SIZE_INVALID', `a manifest is at most ${MAX_MANIFEST_BYTES} bytes`, { status: 413 })
  if (Number(request.headers['content-length'] ?? 0) > MAX_MANIFEST_BYTES) return tooLarge
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of body(HELD_BODY_MS)) {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_MANIFEST_BYTES) return tooLarge
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks)
}

/** `DELETE /v2/<name>/manifests/<reference>` (end-9): a tag alone, or a manifest with every tag that points at it. */
export async function deleteManifest(registry: Registry, exchange: RepositoryExchange, reference: Reference): Promise<Reply | Refusal> {
  const command: RepositoryCommand =
    reference.kind === 'tag' ? { type: 'DeleteTag', tag: reference.tag } : { type: 'DeleteManifest', digest: reference.digest }
  return remove(registry, exchange, reference.kind === 'tag' ? reference.tag : reference.digest, command, 'MANIFEST_UNKNOWN')
}

/** `DELETE /v2/<name>/blobs/<digest>` (end-10): the repository holds it no longer; no byte is erased. */
export async function deleteBlob(registry: Registry, exchange: RepositoryExchange, digest: Digest): Promise<Reply | Refusal> {
  return remove(registry, exchange, digest, { type: 'DeleteBlob', digest }, 'BLOB_UNKNOWN')
}

async function remove(
  registry: Registry,
  exchange: RepositoryExchange,
  what: Tag | Digest,
  command: RepositoryCommand,
  unknown: 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN',
): Promise<Reply | Refusal> {
  const admitted = await admit(registry, exchange, 'delete', what, refusal(unknown))
  if (isRefusal(admitted)) return admitted
  const handled = await perform(registry, exchange, repositoryAggregate(registry.decisionRows, admitted.key), command)
  return isRefusal(handled.outcome) ? handled.outcome : { status: 202, headers: positionHeader(handled.position) }
}
