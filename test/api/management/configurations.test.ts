import { readFileSync, readdirSync } from 'node:fs'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { askingAs, makeUser } from '../../support/asking.ts'
import type { Asking } from '../../support/asking.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'

type Settings = Record<string, { value: unknown; editable: boolean }>

let server: VarveServer
let admin: Asking

beforeAll(async () => {
  server = await startVarve()
  admin = askingAs(server)
})

const settings = () => admin.read<Settings>('/configurations')

describe('settings', () => {
  it('are shown with whether they can be changed, but for the secret ones', async () => {
    const all = await settings()
    expect(all['auth_mode']).toEqual({ value: 'db_auth', editable: true })
    expect(all['token_expiration']).toEqual({ value: 5, editable: true })
    expect(all['read_only']).toEqual({ value: false, editable: false })
    expect(Object.keys(all).filter((name) => /password|secret/.test(name))).toEqual([])
  })

  it('are changed all or none', async () => {
    expect(await admin.asked('PUT', '/configurations', { session_timeout: 30, ldap_url: 'ldaps://directory.example.com', ldap_uid: null })).toBe('200')
    expect(await settings()).toMatchObject({ session_timeout: { value: 30 }, ldap_url: { value: 'ldaps://directory.example.com' }, ldap_uid: { value: 'cn' } })
    expect(await admin.asked('PUT', '/configurations', { session_timeout: 45, oidc_scope: 'profile' })).toBe('400 BAD_REQUEST')
    expect((await settings())['session_timeout']).toMatchObject({ value: 30 })
  })

  it.each([
    ['auth_mode', 'http_auth'],
    ['project_creation_restriction', 'nobody'],
    ['token_expiration', 0],
    ['token_expiration', 1.5],
    ['token_expiration', '30'],
    ['session_timeout', 1_000_000],
    ['robot_token_duration', 0],
    ['robot_name_prefix', ''],
    ['robot_name_prefix', 'a:b'],
    ['robot_name_prefix', 'adm'],
    ['self_registration', 'true'],
    ['ldap_url', 'https://directory.example.com'],
    ['ldap_url', 'ldap://name:password@directory.example.com'],
    ['ldap_scope', 3],
    ['ldap_filter', 'a\u0000b'],
    ['oidc_endpoint', 'not a URL'],
    ['oidc_endpoint', 'ftp://id.example.com'],
    ['oidc_scope', 'profile,email'],
    ['oidc_group_filter', '('],
    // A regular expression, but none in Unicode mode, in which groups are compared.
    ['oidc_group_filter', 'a\\-b'],
    ['oidc_extra_redirect_parms', '[]'],
    ['oidc_extra_redirect_parms', '{"a":1}'],
    ['read_only', true],
    ['storage_per_project', 1_000],
    ['notification_enable', true],
    ['of_nobody', true],
    ['toString', 'x'],
  ])('are not changed to what they cannot be: %s to %j', async (name, value) => {
    const before = await settings()
    expect(await admin.asked('PUT', '/configurations', { [name]: value })).toBe('400 BAD_REQUEST')
    expect(await settings()).toEqual(before)
  })

  it('can be sent back as they were read', async () => {
    const before = await settings()
    const values = Object.fromEntries(Object.entries(before).map(([name, { value }]) => [name, value]))
    expect(await admin.asked('PUT', '/configurations', values)).toBe('200')
    expect(await settings()).toEqual(before)
  })

  it('that are secret stand nowhere in clear', async () => {
    const secret = 'a-search-password-for-tests'
    expect(await admin.asked('PUT', '/configurations', { ldap_search_password: secret, oidc_client_secret: secret })).toBe('200')
    expect(JSON.stringify(await settings())).not.toContain(secret)
    expect(await admin.read('/internalconfig')).toEqual(await settings())
    const { stdout } = await server.varve('log', 'tail', '--lines', '10')
    expect(stdout).toContain('SettingChanged')
    expect(stdout).not.toContain(secret)
    expect(server.output()).not.toContain(secret)
    const keys = readdirSync(server.dataFolder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    for (const entry of keys) expect(readFileSync(`${entry.parentPath}/${entry.name}`).includes(secret)).toBe(false)
  })

  it('outlive the server', async () => {
    await server.restart()
    expect(await settings()).toMatchObject({ session_timeout: { value: 30 }, ldap_url: { value: 'ldaps://directory.example.com' } })
  })

  it('on how people log in stay as they are while there are others', async () => {
    expect(await admin.asked('PUT', '/configurations', { auth_mode: 'ldap_auth' })).toBe('200')
    expect(await admin.asked('PUT', '/configurations', { auth_mode: 'db_auth' })).toBe('200')
    const alice = await makeUser(server, 'alice')
    expect((await settings())['auth_mode']).toEqual({ value: 'db_auth', editable: false })
    expect(await admin.asked('PUT', '/configurations', { auth_mode: 'ldap_auth' })).toBe('400 BAD_REQUEST')
    expect(await admin.asked('PUT', '/configurations', { auth_mode: 'db_auth' })).toBe('200')
    expect(await admin.asked('PUT', '/configurations', { robot_name_prefix: 'ALI' })).toBe('400 BAD_REQUEST')
    expect(await admin.asked('PUT', '/configurations', { robot_name_prefix: 'bot_' })).toBe('200')
    expect([await alice.asked('GET', '/configurations'), await alice.asked('PUT', '/configurations', {})]).toEqual(['403 FORBIDDEN', '403 FORBIDDEN'])
    expect(await alice.asked('GET', '/internalconfig')).toBe('403 FORBIDDEN')
    const nobody = askingAs(server, 'nobody')
    expect([await nobody.asked('GET', '/configurations'), await nobody.asked('PUT', '/configurations', {})]).toEqual(['401 UNAUTHORIZED', '401 UNAUTHORIZED'])
  })
})

describe('what everybody may ask', () => {
  it('is whether the registry works', async () => {
    const nobody = askingAs(server, 'nobody')
    const ping = await fetch(`${server.url}/api/v2.0/ping`)
    expect([ping.status, ping.headers.get('Content-Type'), await ping.text()]).toEqual([200, 'text/plain; charset=utf-8', 'Pong'])
    expect(await nobody.read('/health')).toEqual({ status: 'healthy', components: [{ name: 'core', status: 'healthy' }, { name: 'database', status: 'healthy' }] })
  })

  it('is how to log in, and more for those who did', async () => {
    const open = { auth_mode: 'db_auth', primary_auth_mode: false, self_registration: false, oidc_provider_name: '', banner_message: '' }
    expect(await askingAs(server, 'nobody').read('/systeminfo')).toEqual(open)
    expect(await admin.read('/systeminfo')).toMatchObject({ ...open, registry_url: server.host, external_url: server.url, harbor_version: expect.stringMatching(/^v2\.14\.0-varve-/) })
  })

  it('is a certificate of an authority, of which there is none', async () => {
    expect(await askingAs(server, 'nobody').asked('GET', '/systeminfo/getcert')).toBe('404 NOT_FOUND')
    expect(await admin.read('/systeminfo')).toMatchObject({ has_ca_root: false })
  })

  it('never holds U+0000', async () => {
    for (const path of ['/projects/a%00b', '/projects?name=%00', '/projects?q=name%3Da%00b']) expect(await admin.asked('GET', path)).toBe('400 BAD_REQUEST')
    expect(await admin.asked('POST', '/projects', { project_name: 'a\ud800' })).toBe('400 BAD_REQUEST')
  })
})
