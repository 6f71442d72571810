import { randomBytes } from 'node:crypto'
import { OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST } from '../src/oci/media-types.ts'
import { contentOf, pushManifest, pushWhole } from './client/push.ts'
import type { Content } from './client/push.ts'
import { httpClient } from './client/http.ts'
import { putFile } from './peers.ts'
import type { Registry } from './registry.ts'

export const REPOSITORY = 'library/app'
export const TAG = 'latest'

export type Image = { readonly manifest: Content; readonly config: Content; readonly layers: readonly Content[] }

const contentOfText = (document: object): Content => contentOf(Buffer.from(JSON.stringify(document)))

export const sizeOf = ({ pieces }: Content): number => pieces.reduce((sum, piece) => sum + piece.length, 0)

/** An image of random layers of these sizes. */
export function makeImage(layerSizes: readonly number[]): Image {
  const config = contentOfText({ architecture: 'amd64', os: 'linux', made: randomBytes(8).toString('hex') })
  const layers = layerSizes.map((size) => contentOf(randomBytes(size)))
  const described = (content: Content, mediaType: string) => ({ mediaType, digest: content.digest, size: sizeOf(content) })
  const manifest = contentOfText({
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: described(config, OCI_IMAGE_CONFIG),
    layers: layers.map((layer) => described(layer, 'application/vnd.oci.image.layer.v1.tar+gzip')),
  })
  return { manifest, config, layers }
}

/** Puts an image into a registry by pushing it, and into the static server as files under the same paths. */
export async function putImage(registry: Registry, { manifest, config, layers }: Image): Promise<void> {
  if (registry.name === 'nginx') {
    const manifestBytes = Buffer.concat(manifest.pieces)
    await putFile(registry, manifestPath(TAG), manifestBytes)
    await putFile(registry, manifestPath(manifest.digest), manifestBytes)
    for (const blob of [config, ...layers]) await putFile(registry, blobPath(blob.digest), Buffer.concat(blob.pieces))
    return
  }
  const client = httpClient(registry.port, registry.headers)
  try {
    for (const blob of [config, ...layers]) await pushWhole(client, REPOSITORY, blob)
    await pushManifest(client, REPOSITORY, TAG, Buffer.concat(manifest.pieces), OCI_IMAGE_MANIFEST)
  } finally {
    client.close()
  }
}

export const manifestPath = (reference: string): string => `/v2/${REPOSITORY}/manifests/${reference}`
export const blobPath = (digest: string): string => `/v2/${REPOSITORY}/blobs/${digest}`
