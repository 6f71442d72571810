import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import { describeWithStrace, parseTrace } from '../support/strace.ts'
import type { Call } from '../support/strace.ts'

describeWithStrace('what is on disk before an answer (strace)', () => {
  it('syncs the blob, links it, syncs its folder, syncs the log, and answers then; a pull is synced before its first byte', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'varve-strace-'))
    const file = join(folder, 'trace')
    const syscalls = 'trace=fsync,fdatasync,link,linkat,mkdir,mkdirat,write,writev,sendto,sendmsg'
    const server = await startVarve({ wrapper: ['strace', '-D', '-f', '-y', '-s', '40', '-e', syscalls, '-o', file], env: { UV_USE_IO_URING: '0' } })
    const { call, pushBlob } = registryClient(server)
    const layer = Buffer.from('a layer whose way to the disk is watched')
    await call('GET', '/v2/')
    const digest = await pushBlob('durable/app', layer)
    await sleep(300)
    const pulled = await call('GET', `/v2/durable/app/blobs/${digest}`)
    expect(await pulled.text()).toBe(layer.toString())
    await server.stop()
    const calls = parseTrace(readFileSync(file, 'utf8'))
    await rm(folder, { recursive: true, force: true })

    const find = (what: string, from: number, test: (call: Call) => boolean): Call => {
      const found = calls.find((each) => each.began > from && test(each))
      if (found === undefined) throw new Error(`the trace has no ${what} after line ${from}`)
      return found
    }
    const isAnswer = (status: number) => (each: Call) => /^(write|writev|sendto|sendmsg)$/.test(each.name) && each.text.includes(`HTTP/1.1 ${status}`)
    const isLogSync = (each: Call): boolean => /^f(data)?sync$/.test(each.name) && each.text.includes('/pg_wal/')
    const hex = digest.slice('sha256:'.length)
    const blobFolder = join('blobs/sha256', hex.slice(0, 2))

    const linked = find('link of the blob', 0, (each) => each.name.startsWith('link') && each.text.includes(join(blobFolder, hex)))
    const blobSynced = calls.filter((each) => each.name === 'fsync' && each.text.includes('/uploads/') && each.done < linked.began)
    expect(blobSynced).not.toEqual([])
    const folderSynced = find('sync of the folder', linked.done, (each) => each.name === 'fsync' && each.text.includes(`${blobFolder}>`))
    const logSynced = find('sync of the log', folderSynced.done, isLogSync)
    const answered = find('answer to the push', linked.began, isAnswer(201))
    expect(answered.began).toBeGreaterThan(logSynced.done)

    const pull = find('answer to the pull', answered.done, isAnswer(200))
    const pullSynced = calls.filter((each) => isLogSync(each) && each.began > answered.done && each.done < pull.began)
    expect(pullSynced).not.toEqual([])

    // No folder of the store may vanish in a crash: each one's parent is synced after it was made, and before the first answer.
    const made = calls.filter((each) => each.name.startsWith('mkdir') && /\/(blobs|keys|uploads)(\/|")/.test(each.text) && / = 0$/.test(each.text))
    expect(made.length).toBeGreaterThan(500)
    const unsynced = made.filter(({ text, done }) => {
      const [, path = ''] = /"([^"]+)"/.exec(text) ?? []
      return !calls.some((each) => each.name === 'fsync' && each.text.includes(`<${dirname(path)}>`) && each.began > done && each.done < answered.began)
    })
    expect(unsynced).toEqual([])
  }, 180_000)
})
