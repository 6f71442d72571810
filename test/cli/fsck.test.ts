import { readFile, rename, writeFile } from 'node:fs/promises'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { imageManifest, registryClient, sha256 } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

function pathOf(server: VarveServer, digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':')
  return join(server.dataFolder, 'blobs', algorithm, hex.slice(0, 2), hex)
}

async function fsck(server: VarveServer, ...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const { stdout, code } = await server.varve('fsck', ...args)
  return { code, lines: stdout.split('\n').filter((line) => line !== '') }
}

/** The file as it would be after some bits of it turned: the store never writes to it again, so it is not writable in place by chance. */
async function corrupt(path: string): Promise<void> {
  const bytes = await readFile(path)
  await rm(path)
  await writeFile(path, bytes.fill(0x78))
}

describe('varve fsck', () => {
  it('names what is corrupt, missing and left over, beside a server, and a push heals it', async () => {
    const server = await startVarve()
    const client = registryClient(server)
    const pushed = await client.pushImage('team/app', 'v1', Buffer.from('the layer'))
    const gone = await client.pushImage('team/gone', 'v1', Buffer.from('the lost layer'))
    expect(await fsck(server)).toEqual({ code: 0, lines: [] })

    const leftover = Buffer.from('an upload that ended in a crash')
    await mkdir(dirname(pathOf(server, sha256(leftover))), { recursive: true })
    await writeFile(pathOf(server, sha256(leftover)), leftover)
    expect(await fsck(server)).toEqual({ code: 0, lines: [`unreferenced ${sha256(leftover)}`] })

    await corrupt(pathOf(server, pushed.layerDigest))
    await rename(pathOf(server, gone.layerDigest), join(server.dataFolder, 'aside'))
    await rename(pathOf(server, gone.digest), join(server.dataFolder, 'aside-too'))
    const found = [
      `corrupt ${pushed.layerDigest}`,
      ...[gone.digest, gone.layerDigest].sort().map((digest) => `missing team/gone ${digest}`),
      `unreferenced ${sha256(leftover)}`,
    ]
    expect(await fsck(server)).toEqual({ code: 1, lines: found })
    // The server has read what is corrupt: it must not go on serving it from memory when it is healed.
    await (await client.call('GET', `/v2/team/app/blobs/${pushed.layerDigest}`)).arrayBuffer()
    expect(await fsck(server, '--quarantine')).toEqual({ code: 1, lines: found })
    expect((await fsck(server)).lines).toContain(`missing team/app ${pushed.layerDigest}`)

    expect((await client.call('HEAD', `/v2/team/app/blobs/${pushed.layerDigest}`)).status).toBe(404)
    await client.pushImage('team/app', 'v1', Buffer.from('the layer'))
    await client.pushImage('team/gone', 'v1', Buffer.from('the lost layer'))
    expect(await fsck(server)).toEqual({ code: 0, lines: [`unreferenced ${sha256(leftover)}`] })
    const healed = await client.call('GET', `/v2/team/app/blobs/${pushed.layerDigest}`)
    expect(await healed.text()).toBe('the layer')
  })

  it('asks for nothing that a repository never held or holds no longer, with and without a server', async () => {
    const server = await startVarve()
    const client = registryClient(server)
    const absent = sha256(Buffer.from('never pushed'))
    const config = await client.pushBlob('team/sparse', Buffer.from('{}'))
    await client.pushManifest('team/sparse', 'v1', imageManifest({ digest: config, size: 2 }, [{ digest: absent, size: 12 }]))
    const unlinked = await client.pushBlob('team/sparse', Buffer.from('deleted again'))
    expect((await client.call('DELETE', `/v2/team/sparse/blobs/${unlinked}`)).status).toBe(202)
    await rm(pathOf(server, unlinked))
    expect(await fsck(server)).toEqual({ code: 0, lines: [] })
    await rm(pathOf(server, config))
    await server.kill('SIGKILL')
    expect(await fsck(server)).toEqual({ code: 1, lines: [`missing team/sparse ${config}`] })
    await server.restart()
  })
})
