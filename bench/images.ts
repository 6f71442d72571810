import { randomBytes } from 'node:crypto'
import { OCI_IMAGE_MANIFEST } from '../src/oci/media-types.ts'
import { OCI_IMAGE_CONFIG } from '../test/support/media-types.ts'
import { contentOf, pushManifest, pushWhole } from './client/push.ts'
import type { Content } from './client/push.ts'
import { httpClient } from './client/http.ts'
import { putFile } from './peers.ts'
import type { Registry } from './registry.ts'

/** An image under a tag, as paths that are asked for. */
export type Image = {
  readonly byTag: string
  readonly byDigest: string
  readonly config: string
  readonly layers: readonly string[]
}

export type SharedImage = {
  /** Puts the image into a registry, the first time it is asked to. */
  in(registry: Registry): Promise<Image>
}

/** An image of random layers of these sizes, the same in every registry. */
export function sharedImage(repository: string, layerSizes: readonly number[]): SharedImage {
  let made: Made | undefined
  const put = new Map<Registry, Promise<Image>>()

  async function putInto(registry: Registry): Promise<Image> {
    made ??= make(layerSizes)
    const { manifest, config, layers } = made
    const blob = ({ digest }: Content): string => `/v2/${repository}/blobs/${digest}`
    const image: Image = {
      byTag: `/v2/${repository}/manifests/latest`,
      byDigest: `/v2/${repository}/manifests/${manifest.digest}`,
      config: blob(config),
      layers: layers.map(blob),
    }
    if (registry.name === 'nginx') {
      for (const path of [image.byTag, image.byDigest]) await putFile(registry, path, manifest.pieces)
      for (const each of [config, ...layers]) await putFile(registry, blob(each), each.pieces)
      return image
    }
    const client = httpClient(registry.port, registry.headers)
    try {
      for (const each of [config, ...layers]) await pushWhole(client, repository, each)
      await pushManifest(client, repository, 'latest', Buffer.concat(manifest.pieces), OCI_IMAGE_MANIFEST)
    } finally {
      client.close()
    }
    return image
  }

  return {
    in(registry) {
      const known = put.get(registry) ?? putInto(registry)
      put.set(registry, known)
      return known
    },
  }
}

type Made = { readonly manifest: Content; readonly config: Content; readonly layers: readonly Content[] }

function make(layerSizes: readonly number[]): Made {
  const config = contentOfText({ architecture: 'amd64', os: 'linux', made: randomBytes(8).toString('hex') })
  const layers = layerSizes.map((size) => contentOf(randomBytes(size)))
  const manifest = contentOfText({
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: described(config, OCI_IMAGE_CONFIG),
    layers: layers.map((layer) => described(layer, 'application/vnd.oci.image.layer.v1.tar+gzip')),
  })
  return { manifest, config, layers }
}

const contentOfText = (document: object): Content => contentOf(Buffer.from(JSON.stringify(document)))

const described = ({ digest, pieces }: Content, mediaType: string) => ({
  mediaType,
  digest,
  size: pieces.reduce((sum, piece) => sum + piece.length, 0),
})

/** A few more layers than are pulled, so that the manifest is as long as most are. */
export const usualImage = sharedImage('library/app', [10_000, 1_000_000, 100_000_000, 2_000, 5_000, 50_000, 500_000])
