import { describe, expect, it } from '@jest/globals'
import { imageManifest, registryClient, sha256 } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

const PUSHERS = 4
const PULLERS = 8
const REBUILDS = 3

/** A tag of one pusher: what it pushed, in order, and how much of that was acknowledged. */
type Line = { readonly tag: string; readonly pushed: string[]; acknowledged: number }

describe('a switch of the read models under traffic', () => {
  it('changes no answer', async () => {
    const server = await startVarve()
    const client = registryClient(server)
    const config = await client.pushBlob('team/app', Buffer.from('{}'))
    const lines = Array.from({ length: PUSHERS }, (_, index): Line => ({ tag: `line-${index}`, pushed: [], acknowledged: 0 }))
    for (const line of lines) await push(client, config, line)
    let running = true
    const wrong: string[] = []
    let answers = 0

    async function pushAlways(line: Line): Promise<void> {
      while (running) {
        const expected = await push(client, config, line)
        const head = await client.call('HEAD', `/v2/team/app/manifests/${line.tag}`)
        answers += 1
        if (head.headers.get('docker-content-digest') !== expected) wrong.push(`HEAD of ${line.tag} after its push: ${head.status} ${head.headers.get('docker-content-digest') ?? ''}`)
        const tag = `${line.tag}-for-a-moment`
        await client.pushManifest('team/app', tag, manifestOf(config, `${line.tag} ${line.pushed.length}`))
        const deleted = await client.call('DELETE', `/v2/team/app/manifests/${tag}`)
        const after = await client.call('HEAD', `/v2/team/app/manifests/${tag}`)
        if (deleted.status !== 202 || after.status !== 404) wrong.push(`DELETE of ${tag}: ${deleted.status}, and then ${after.status}`)
      }
    }

    async function pullAlways(index: number): Promise<void> {
      while (running) {
        const line = lines[index % lines.length]
        if (line === undefined) return
        const atLeast = line.acknowledged
        const response = await client.call('GET', `/v2/team/app/manifests/${line.tag}`)
        await response.arrayBuffer()
        answers += 1
        const version = line.pushed.indexOf(response.headers.get('docker-content-digest') ?? '') + 1
        if (response.status !== 200 || version < atLeast) wrong.push(`GET of ${line.tag}: ${response.status}, push ${version} after ${atLeast} were acknowledged`)
      }
    }

    const loops = [...lines.map(pushAlways), ...Array.from({ length: PULLERS }, (_, index) => pullAlways(index))]
    // Whoever fails ends the others, and is heard of below.
    for (const loop of loops) {
      loop.catch(() => {
        running = false
      })
    }
    const outputs: string[] = []
    for (let round = 0; round < REBUILDS; round += 1) outputs.push(await rebuilt(server))
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    running = false
    await Promise.all(loops)
    expect(outputs).toEqual(outputs.map(() => expect.stringMatching(/version \d+ is live/) as unknown))
    expect(wrong).toEqual([])
    expect(server.output()).toContain('moved to another version')
    expect(server.output()).not.toMatch(/a projection stopped|request failed/)
    expect(answers).toBeGreaterThan(100)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  }, 120_000)
})

async function rebuilt(server: VarveServer): Promise<string> {
  const { stdout, stderr } = await server.varve('rebuild')
  return stdout + stderr
}

const manifestOf = (config: string, note: string): object => imageManifest({ digest: config, size: 2 }, [], { annotations: { note } })

/** Pushes the next of a line; it counts as acknowledged once the answer is there. */
async function push(client: ReturnType<typeof registryClient>, config: string, line: Line): Promise<string> {
  const manifest = manifestOf(config, `${line.tag} ${line.pushed.length}`)
  line.pushed.push(sha256(Buffer.from(JSON.stringify(manifest))))
  const { digest } = await client.pushManifest('team/app', line.tag, manifest)
  line.acknowledged = line.pushed.length
  return digest
}
