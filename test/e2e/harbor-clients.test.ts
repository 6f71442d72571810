import { join } from 'node:path'
import { HarborClient } from '@hapic/harbor'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { addOidcUser } from '../support/oidc-user.ts'
import { SUFFIX, hasSlapd, searchAccount, startSlapd } from '../support/slapd.ts'
import { LIVE_URL } from '../support/spaces.ts'
import { harborDocument } from './harbor/document.ts'
import type { Call } from './harbor/document.ts'
import { run, tool } from './tools.ts'

/*
 * Harbor's client libraries, as they come, against one Varve: they make of each answer what they would of Harbor's, and each
 * answer's fields are held against Harbor's own description.
 */

/** The files of harbor/ that call, and the tags whose operations all of them have to have called. */
const FILES = ['people', 'projects']
const TAGS = [
  'user', 'usergroup', 'robot', 'permissions', 'project', 'member', 'projectMetadata', 'Ldap', 'configure', 'systeminfo', 'health', 'ping', 'statistic', 'auditlog',
]
/**
 * Operations under these tags that Varve does not serve: there is no scanner, of artifacts nothing is listed yet, and the types of events
 * are those that can be forwarded or left out, which none can.
 */
const NOT_SERVED = ['listArtifactsOfProject', 'getScannerOfProject', 'setScannerOfProject', 'listScannerCandidatesOfProject', 'listAuditLogEventTypes']
/** Settings that Harbor does not have. */
const VARVES_OWN = /\.(ldap_start_tls|ldap_ca|ldap_nested_groups) is not in the model$/
/** Said to be an object, where Harbor puts whatever a setting's value is. */
const ANY_VALUE = /internalconfig 200\.\w+\.value is .*, and not of type object$/
/** What Harbor serves and its document does not say any more. */
const UNDOCUMENTED = /\/projects\/[^/]+\/robots/

const LDIF = `dn: uid=py-carl,${SUFFIX}
objectClass: inetOrgPerson
uid: py-carl
cn: Carl
sn: Carl
mail: carl@example.test
userPassword: pw-carl

dn: cn=py-people,${SUFFIX}
objectClass: groupOfNames
cn: py-people
member: uid=py-carl,${SUFFIX}
`

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
    calls = [...(await called(env, FILES)), ...(hasSlapd ? await calledOnDirectory() : [])]
  })

  async function called(env: Readonly<Record<string, string>>, files: readonly string[]): Promise<readonly Call[]> {
    const { stdout } = await run(python ?? '', [join(import.meta.dirname, 'harbor/driver.py'), ...files], { env })
    return JSON.parse(stdout) as Call[]
  }

  /** On a registry of its own: how people log in cannot be changed where there are some. */
  async function calledOnDirectory(): Promise<readonly Call[]> {
    const slapd = await startSlapd(LDIF)
    const other = await startVarve()
    const env = {
      VARVE_URL: other.url, VARVE_NAME: other.user, VARVE_SECRET: other.password, VARVE_LDAP_URL: `ldap://127.0.0.1:${slapd.port}`, VARVE_LDAP_BASE: SUFFIX,
      VARVE_LDAP_DN: searchAccount.dn, VARVE_LDAP_SECRET: searchAccount.password, PYTHONDONTWRITEBYTECODE: '1',
    }
    try {
      return await called(env, ['directory'])
    } finally {
      await other.stop()
      await slapd.stop()
    }
  }

  it('understands every answer, and has called every operation', () => {
    const byOperation = Map.groupBy(calls, (call) => harborDocument?.operationOf(call)?.operationId)
    const operations = (harborDocument?.operations(TAGS) ?? []).filter((each) => !NOT_SERVED.includes(each) && (hasSlapd || !/ldap/i.test(each)))
    const functions = (operation: string): string => [...new Set(byOperation.get(operation)?.map((call) => call.function))].join(', ')
    process.stdout.write(`Harbor's operations, and what called them:\n${operations.map((each) => `  ${each.padEnd(28)} ${functions(each)}\n`).join('')}`)
    expect(operations.length).toBeGreaterThan(40)
    expect(operations.filter((each) => !byOperation.has(each))).toEqual([])
  })

  it('is answered with what the document knows, in its types', () => {
    const problems = calls.filter(({ path }) => !UNDOCUMENTED.test(path)).flatMap((call) => harborDocument?.problems(call) ?? [])
    expect(problems.filter((problem) => !VARVES_OWN.test(problem) && !ANY_VALUE.test(problem))).toEqual([])
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

  it('makes, finds, changes and deletes projects', async () => {
    await client.project.create({ project_name: 'js-project', public: true })
    const made = await client.project.getOne('js-project', true)
    expect(made).toMatchObject({ name: 'js-project', owner_name: 'admin', repo_count: 0, metadata: { public: 'true' } })
    expect(await client.project.getOne(made.project_id)).toEqual(made)
    const many = await client.project.getMany({ query: { name: 'js-', page_size: 5 } })
    expect([many.data.map(({ name }) => name), many.meta]).toEqual([['js-project'], { total: 1 }])
    await client.project.update(made.project_id, { project_name: 'js-project', public: false })
    expect(await client.project.getOne(made.project_id)).toMatchObject({ metadata: { public: 'false' } })
    await client.project.delete('js-project', true)
    await expect(client.project.getOne(made.project_id)).rejects.toMatchObject({ response: { status: 404 } })
  })
})
