import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from '@jest/globals'
import { mountDisk } from '../../support/disk.ts'
import { OCI_MANIFEST, imageManifest, registryClient, sha256 } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { wireClient } from '../../support/wire.ts'

const disk = mountDisk(64 * 1024 * 1024)
const closers: (() => void)[] = []

afterAll(() => {
  for (const close of closers) close()
  disk?.unmount()
})

const clientsOf = (server: VarveServer) => {
  const wire = wireClient(server)
  closers.push(() => {
    wire.close()
  })
  return { wire, client: registryClient(server) }
}

test('under the reserve pushes wait, and pulls and deletions go on', async () => {
  const layer = Buffer.from('was here before')
  // A first start without a reserve that none could keep: something must be there.
  const server = await startVarve()
  const before = clientsOf(server)
  const image = await before.client.pushImage('p/app', 'v1', layer)
  const begun = (await before.wire.sound('POST', '/v2/p/app/blobs/uploads/')).headers.location ?? ''
  await server.restart({ VARVE_MIN_FREE: '1000TiB' })
  const { wire } = clientsOf(server)

  for (const [method, path, body] of [
    ['POST', '/v2/p/app/blobs/uploads/', undefined],
    ['POST', `/v2/p/app/blobs/uploads/?digest=${sha256(Buffer.from('x'))}`, 'x'],
    ['PATCH', begun, 'x'],
    ['PUT', `${begun}?digest=${sha256(Buffer.from('x'))}`, 'x'],
    ['PUT', '/v2/p/app/manifests/v2', JSON.stringify(imageManifest({ digest: image.configDigest, size: 1 }, []))],
  ] as const) {
    const answer = await wire.sound(method, path, { ...(body === undefined ? {} : { body }), headers: method === 'PUT' ? { 'Content-Type': OCI_MANIFEST } : {} })
    expect([method, answer.status, answer.headers['retry-after']]).toEqual([method, 503, '5'])
  }
  // What needs no space: a mount, a manifest that is here, the end of an upload.
  expect(await wire.asked('POST', `/v2/p/other/blobs/uploads/?mount=${image.layerDigest}&from=p/app`)).toBe('201')
  expect(await wire.asked('PUT', '/v2/p/app/manifests/again', { body: image.bytes })).toBe('201')
  expect(await wire.asked('DELETE', begun)).toBe('204')
  expect(await wire.asked('GET', '/v2/p/app/manifests/v1')).toBe('200')
  expect((await wire.sound('GET', `/v2/p/app/blobs/${image.layerDigest}`)).body.equals(layer)).toBe(true)
  expect(await wire.asked('DELETE', '/v2/p/app/manifests/v1')).toBe('202')
  expect(await wire.asked('DELETE', `/v2/p/app/blobs/${image.layerDigest}`)).toBe('202')
})

const onDisk = disk === undefined ? describe.skip : describe

onDisk('a disk that is full (needs root, to mount one)', () => {
  test('shows nothing half-written, says 503, and goes on once there is room', async () => {
    const server = await startVarve({ env: { VARVE_BLOBS: `file:${disk?.folder ?? ''}`, VARVE_MIN_FREE: '0' } })
    const { wire, client } = clientsOf(server)
    const kept = randomBytes(20 * 1024 * 1024)
    const image = await client.pushImage('p/app', 'v1', kept)

    // At once, and as a stream in pieces: more than there is room for.
    const large = randomBytes(80 * 1024 * 1024)
    const digest = sha256(large)
    expect(await wire.asked('POST', `/v2/p/app/blobs/uploads/?digest=${digest}`, { body: large })).toBe('503 UNAVAILABLE')
    const location = (await wire.sound('POST', '/v2/p/app/blobs/uploads/')).headers.location ?? ''
    expect(await wire.asked('PATCH', location, { body: large, headers: { 'Transfer-Encoding': 'chunked' } })).toBe('503 UNAVAILABLE')
    expect(await wire.asked('HEAD', `/v2/p/app/blobs/${digest}`)).toBe('404')
    // What fits is kept, and the size that is told is what is there.
    const range = (await wire.sound('GET', location)).headers.range ?? ''
    expect(Number(range.slice(2))).toBeGreaterThan(10 * 1024 * 1024)
    expect(await wire.asked('PUT', `${location}?digest=${digest}`)).toBe('400 DIGEST_INVALID')

    // Filled to the last byte: a manifest finds no room either.
    disk?.fill()
    const manifest = imageManifest({ digest: image.configDigest, size: 1 }, [], { annotations: { pad: 'x'.repeat(100_000) } })
    const push = { body: JSON.stringify(manifest), headers: { 'Content-Type': OCI_MANIFEST } }
    expect(await wire.asked('PUT', '/v2/p/app/manifests/v2', push)).toBe('503 UNAVAILABLE')
    expect(await wire.asked('POST', '/v2/p/app/blobs/uploads/?digest=' + sha256(Buffer.alloc(100_000)), { body: Buffer.alloc(100_000) })).toBe('503 UNAVAILABLE')
    expect(await wire.asked('HEAD', '/v2/p/app/manifests/v2')).toBe('404')
    expect((await wire.sound('GET', `/v2/p/app/blobs/${image.layerDigest}`)).body.equals(kept)).toBe(true)
    expect(await wire.asked('GET', '/v2/p/app/manifests/v1')).toBe('200')
    expect((await server.varve('fsck')).code).toBe(0)

    disk?.free()
    expect(await wire.asked('DELETE', location)).toBe('204')
    expect(await wire.asked('PUT', '/v2/p/app/manifests/v2', push)).toBe('201')
    const fits = randomBytes(10 * 1024 * 1024)
    await client.pushBlob('p/app', fits)
    expect((await wire.sound('GET', `/v2/p/app/blobs/${sha256(fits)}`)).body.equals(fits)).toBe(true)
    expect((await server.varve('fsck')).code).toBe(0)
    expect((await server.varve('rebuild', '--verify')).code).toBe(0)
    expect(server.output().split('\n').filter((line) => /"level":"error"|unhandled/i.test(line))).toEqual([])
    await server.stop()
  })
})
