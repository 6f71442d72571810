import { askingAs, makeUser } from '../support/asking.ts'
import { bearer } from '../support/doors.ts'
import { registryClient } from '../support/registry.ts'
import type { VarveServer } from '../support/server.ts'
import { KEPT, NARROW, NONE } from './requests.ts'
import type { World } from './requests.ts'

/** Longer than a registry answers in one write, and than two sockets hold between them. */
const LONG_BYTES = 9 * 1024 * 1024

/** Pushes what there is to ask for. */
export async function settle(server: VarveServer, metricsToken: string): Promise<World> {
  const client = registryClient(server)
  const names = ['fuzz/a', 'fuzz/b', 'other/a', 'app']
  const tags = ['v1', 'v2', 'latest', 'never']
  const digests = [`sha256:${'1'.repeat(64)}`, NONE]
  const uploads: string[] = []
  for (const [index, name] of names.entries()) {
    const { digest, layerDigest, configDigest } = await client.pushImage(name, tags[index % 3] ?? '', Buffer.from(`layer ${index}`))
    digests.push(digest, layerDigest, configDigest)
    uploads.push((await client.call('POST', `/v2/${name}/blobs/uploads/`)).headers.get('location') ?? '')
  }
  const image = await client.pushImage(KEPT, 'v1', Buffer.alloc(100_000, 'layer'))
  const long = await client.pushBlob(KEPT, Buffer.alloc(LONG_BYTES, 'long'))
  digests.push(image.digest, image.layerDigest)
  const kept = [`manifests/v1`, `manifests/${image.digest}`, `blobs/${image.layerDigest}`, `blobs/${long}`].map((path) => `/v2/${KEPT}/${path}`)
  const tried = await makeUser(server, 'tried')
  await askingAs(server).call('PUT', `/users/${tried.number}/sysadmin`, { sysadmin_flag: true })
  const scoped = [...names, KEPT]
  const tokens = await tokensFor(server, scoped)
  return { authorization: server.authorization, tried: tried.authorization, ...tokens, scoped, metricsToken, names: [...names, 'fuzz/none'], tags, digests, uploads, kept }
}

/** They last five minutes. */
export async function tokensFor(server: VarveServer, scoped: readonly string[]): Promise<Pick<World, 'wide' | 'narrow'>> {
  return {
    wide: await bearer(server, server.authorization, ...scoped.map((name) => `repository:${name}:*`), 'registry:catalog:*'),
    narrow: await bearer(server, server.authorization, `repository:${NARROW}:pull`),
  }
}
