import { createHash } from 'node:crypto'
import { OCI_IMAGE_CONFIG } from './media-types.ts'
import type { VarveServer } from './server.ts'

/** A client of /v2 as plain as may be: what it sends is what the test says. */
export function registryClient({ url, authorization }: Pick<VarveServer, 'url' | 'authorization'>) {
  const call = (method: string, path: string, init: { readonly body?: NonNullable<RequestInit['body']>; readonly headers?: Readonly<Record<string, string>> } = {}): Promise<Response> =>
    fetch(new URL(path, url), { ...init, method, headers: { Authorization: authorization, ...init.headers } })

  async function expectStatus(response: Response, status: number): Promise<Response> {
    if (response.status !== status) throw new Error(`${response.url} answered ${response.status}, not ${status}: ${await response.text()}`)
    return response
  }

  async function pushBlob(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
    const digest = sha256(bytes)
    await expectStatus(await call('POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, { body: bytes }), 201)
    return digest
  }

  async function pushManifest(name: string, reference: string, manifest: object, type: string = OCI_MANIFEST): Promise<{ digest: string; bytes: Buffer; response: Response }> {
    const bytes = Buffer.from(JSON.stringify(manifest))
    const response = await call('PUT', `/v2/${name}/manifests/${reference}`, { body: bytes, headers: { 'Content-Type': type } })
    return { digest: sha256(bytes), bytes, response: await expectStatus(response, 201) }
  }

  /** Pushes an image of one layer, and answers what it consists of. */
  async function pushImage(name: string, tag: string, layer: Uint8Array<ArrayBuffer>) {
    const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', of: sha256(layer) }))
    const [configDigest, layerDigest] = [await pushBlob(name, config), await pushBlob(name, layer)]
    const manifest = imageManifest({ digest: configDigest, size: config.length }, [{ digest: layerDigest, size: layer.length }])
    return { ...(await pushManifest(name, tag, manifest)), layerDigest, configDigest }
  }

  return { call, pushBlob, pushManifest, pushImage }
}

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'

type Part = { readonly digest: string; readonly size: number }

export function imageManifest(config: Part, layers: readonly Part[], more: object = {}): object {
  return {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_IMAGE_CONFIG, ...config },
    layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
    ...more,
  }
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
