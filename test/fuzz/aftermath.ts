import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { connectToRunning } from '../../src/storage/postgres/embedded.ts'
import { registryClient } from '../support/registry.ts'
import type { VarveServer } from '../support/server.ts'
import { handlesOf } from './handles.ts'
import type { Handles } from './handles.ts'

const SETTLED_MS = 30_000

/** Whether the server is what it was before, and what it holds is right. */
export async function aftermath(server: VarveServer, before: { readonly pid: number; readonly handles: Handles }): Promise<string[]> {
  const problems = outputProblems(server)
  if (server.pid !== before.pid) problems.push('the server was started anew')
  for (const path of ['/healthz', '/readyz']) {
    const status = await statusOf(new URL(path, server.url))
    if (status === undefined) return [...problems, `${path} has no answer in ${SETTLED_MS} ms`]
    if (status !== 200) problems.push(`${path} answers ${status}`)
  }
  problems.push(...(await handleProblems(server, before.handles)), ...(await uploadProblems(server)))
  const { digest } = await registryClient(server).pushImage('fuzz/after', 'v1', Buffer.from('after'))
  if ((await registryClient(server).call('GET', `/v2/fuzz/after/manifests/${digest}`)).status !== 200) problems.push('a push is not pulled')
  for (const command of [['fsck'], ['rebuild', '--verify']]) {
    const { code, stdout, stderr } = await server.varve(...command)
    if (code !== 0) problems.push(`varve ${command.join(' ')} ended with ${String(code)}: ${stdout}${stderr}`.slice(0, 3_000))
  }
  return problems
}

async function statusOf(url: URL): Promise<number | undefined> {
  try {
    return (await fetch(url, { headers: { Connection: 'close' }, signal: AbortSignal.timeout(SETTLED_MS) })).status
  } catch {
    return undefined
  }
}

function outputProblems(server: VarveServer): string[] {
  const output = server.output()
  const said = output.split('\n').filter((line) => /unhandled|"level":"(warn|error|fatal)"/i.test(line)).map((line) => `the server said: ${line.slice(0, 1_000)}`)
  const secret = output.includes(server.password) || output.includes(server.authorization.slice('Basic '.length))
  return [...said, ...(secret ? ['a secret stands in the output'] : [])]
}

/** What is still open a while after the last client is gone. */
async function handleProblems(server: VarveServer, before: Handles): Promise<string[]> {
  const port = Number(new URL(server.url).port)
  const deadline = Date.now() + SETTLED_MS
  for (;;) {
    const now = handlesOf(server.pid, port, server.dataFolder)
    if (now.clients === 0 && now.files.length <= before.files.length && now.others <= before.others) return []
    if (Date.now() > deadline) return [`open before: ${JSON.stringify(before)}; afterwards: ${JSON.stringify(now)}`]
    await delay(100)
  }
}

/** Files of uploads that nobody can go on with, and uploads without a file. */
async function uploadProblems({ dataFolder }: VarveServer): Promise<string[]> {
  const files = new Set(readdirSync(join(dataFolder, 'uploads')))
  const client = new pg.Client({ ...(await connectToRunning(dataFolder)) })
  await client.connect()
  try {
    const { rows } = await client.query<{ id: string }>('select id from varve.uploads')
    const open = new Set(rows.map(({ id }) => id))
    const left = [...files].filter((id) => !open.has(id)).map((id) => `uploads/${id} belongs to no upload`)
    return [...left, ...[...open].filter((id) => !files.has(id)).map((id) => `the upload ${id} has no file`)]
  } finally {
    await client.end()
  }
}
