import { join } from 'node:path'
import { HarborClient } from '@hapic/harbor'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { addOidcUser } from '../support/oidc-user.ts'
import { LIVE_URL } from '../support/spaces.ts'
import { harborDocument } from './harbor/document.ts'
import type { Call } from './harbor/document.ts'
import { run, tool } from './tools.ts'

/*
 * Harbor's client libraries, as they come, against one Varve: they make of each answer what they would of Harbor's, and each
 * answer's fields are held against Harbor's own description.
 */

/** The files of harbor/ that call, and the tags whose operations all of them have to have called. */
const FILES = ['people']
const TAGS = ['user', 'usergroup', 'robot', 'permissions']
/** What Harbor serves and its document does not say any more. */
const UNDOCUMENTED = /\/projects\/[^/]+\/robots/

const python = tool('harborapi-python')
const describeIf = (there: boolean): typeof describe.skip => (there ? describe : describe.skip)

let server: VarveServer
beforeAll(async () => {
  server = await startVarve()
})

// A live EventStoreDB holds the log elsewhere, where no user of a provider can be put.
describeIf(python !== undefined && harborDocument !== undefined && LIVE_URL === undefined)('harborapi', () => {
  let calls: readonly Call[]

  beforeAll(async () => {
    const of = await addOidcUser(server, 'py-provided')
    const env = {
      VARVE_URL: server.url, VARVE_NAME: server.user, VARVE_SECRET: server.password, VARVE_OIDC_USER: String(of), VARVE_OIDC_NAME: 'py-provided', PYTHONDONTWRITEBYTECODE: '1',
    }
    const { stdout } = await run(python ?? '', [join(import.meta.dirname, 'harbor/driver.py'), ...FILES], { env })
    calls = JSON.parse(stdout) as Call[]
  })

  it('understands every answer, and has called every operation', () => {
    const called = Map.groupBy(calls, (call) => harborDocument?.operationOf(call)?.operationId)
    const operations = harborDocument?.operations(TAGS) ?? []
    const functions = (operation: string): string => [...new Set(called.get(operation)?.map((call) => call.function))].join(', ')
    process.stdout.write(`Harbor's operations, and what called them:\n${operations.map((each) => `  ${each.padEnd(28)} ${functions(each)}\n`).join('')}`)
    expect(operations.length).toBeGreaterThan(20)
    expect(operations.filter((each) => !called.has(each))).toEqual([])
  })

  it('is answered with what the document knows, in its types', () => {
    expect(calls.filter(({ path }) => !UNDOCUMENTED.test(path)).flatMap((call) => harborDocument?.problems(call) ?? [])).toEqual([])
  })
})

describe('@hapic/harbor', () => {
  let client: HarborClient

  beforeAll(() => {
    client = new HarborClient({ connectionOptions: { host: `${server.url}/api/v2.0`, user: server.user, password: server.password } })
  })

  afterAll(async () => {
    for (const { id } of (await client.robot.getMany({})).data) await client.robot.delete(id)
  })

  it('makes, finds, changes and deletes robots', async () => {
    const access = [{ resource: 'repository', action: 'pull' }, { resource: 'artifact', action: 'read' }] as const
    const made = await client.robot.create({ name: 'js', permissions: [{ kind: 'project', namespace: '*', access: [...access] }] })
    expect(made).toMatchObject({ name: 'robot$js', secret: expect.stringMatching(/^.{32}$/), expires_at: -1 })
    const found = await client.robot.getOne(made.id)
    expect(found).toMatchObject({ id: made.id, level: 'system', permissions: [{ kind: 'project', namespace: '*' }] })
    const many = await client.robot.getMany({ query: { q: { name: 'js' }, page_size: 5 } })
    expect([many.data.map(({ id }) => id), many.meta]).toEqual([[made.id], { total: 1 }])

    await client.robot.update(made.id, { ...found, description: 'changed', disable: true })
    expect(await client.robot.getOne(made.id)).toMatchObject({ description: 'changed', disable: true })
    const { secret } = await client.robot.updateSecret(made.id)
    expect(secret).not.toBe(made.secret)
    expect(await client.robot.updateSecret(made.id, 'Given-for-tests-1')).toEqual({ secret: 'Given-for-tests-1' })
    await client.robot.delete(made.id)
    await expect(client.robot.getOne(made.id)).rejects.toMatchObject({ response: { status: 404 } })
  })
})
