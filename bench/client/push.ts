import { createHash } from 'node:crypto'
import { OCTET_STREAM } from '../../src/oci/media-types.ts'
import type { HttpClient, Reply } from './http.ts'

/** Bytes in pieces, as they are sent, and their digest, known before the clock runs. */
export type Content = { readonly pieces: readonly Buffer[]; readonly digest: string }

export function contentOf(bytes: Buffer): Content {
  return { pieces: [bytes], digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

/** POST for a session, then PUT with the whole body. */
export async function pushWhole(client: HttpClient, repository: string, { pieces, digest }: Content): Promise<void> {
  const begun = await client.expect(202, 'POST', `/v2/${repository}/blobs/uploads/`)
  await client.expect(201, 'PUT', closing(begun, digest), pieces, { 'Content-Type': OCTET_STREAM })
}

/** POST, a PATCH a piece, and a PUT without a body. */
export async function pushChunked(client: HttpClient, repository: string, { pieces, digest }: Content): Promise<void> {
  let last = await client.expect(202, 'POST', `/v2/${repository}/blobs/uploads/`)
  let from = 0
  for (const piece of pieces) {
    const range = `${from}-${from + piece.length - 1}`
    last = await client.expect(202, 'PATCH', locationOf(last), [piece], { 'Content-Type': OCTET_STREAM, 'Content-Range': range })
    from += piece.length
  }
  await client.expect(201, 'PUT', closing(last, digest))
}

export async function pushManifest(
  client: HttpClient, repository: string, reference: string, bytes: Buffer, mediaType: string,
): Promise<void> {
  await client.expect(201, 'PUT', `/v2/${repository}/manifests/${reference}`, [bytes], { 'Content-Type': mediaType })
}

/** The path of where an upload goes on; some registries answer a whole URL. */
function locationOf({ headers }: Reply): string {
  const { pathname, search } = new URL(headers.location ?? '', 'http://127.0.0.1')
  return pathname + search
}

function closing(reply: Reply, digest: string): string {
  const path = locationOf(reply)
  return `${path}${path.includes('?') ? '&' : '?'}digest=${digest}`
}
