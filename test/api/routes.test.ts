import { beforeAll, describe, expect, it } from '@jest/globals'
import { createExpress } from '../../src/api/app.ts'
import type { Management } from '../../src/api/management/management.ts'
import { managementRouter } from '../../src/api/management/router.ts'
import { routes as managementRoutes } from '../../src/api/management/routes.ts'
import { createMetrics } from '../../src/api/metrics.ts'
import { repositoryRoutes } from '../../src/api/oci/router.ts'
import { pageRoutes } from '../../src/api/pages/pages.ts'
import { tokenRoutes } from '../../src/api/token/token.ts'
import { routes as varveRoutes } from '../../src/api/varve/routes.ts'
import { REPOSITORY_PATHS } from '../support/doors.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { openRaw } from '../support/wire.ts'

/** What everybody may ask, also without a login: the whole list. */
const PUBLIC = [
  'GET /healthz',
  'GET /readyz',
  // Behind a token of its own, where one is set.
  'GET /metrics',
  // Give a token for what everybody may pull, and the keys that tokens are checked by.
  'GET /service/token',
  'POST /service/token',
  'GET /service/jwks',
  'GET /api/v2.0/ping',
  'GET /api/v2.0/health',
  'GET /api/v2.0/systeminfo',
  'GET /api/v2.0/systeminfo/getcert',
  'GET /api/v2.0/openapi.json',
  'GET /api/varve/v1/openapi.json',
  // Shows what is public.
  'GET /api/v2.0/projects',
].sort()

/** Says of every other method that it is none of theirs. */
const READ_ONLY = '_ALL /healthz,/readyz,/metrics'

/** What of it is not answered with 200, which is no matter of who asks: a token is not had by an empty form, and there is no certificate. */
const ANSWERS: Readonly<Record<string, number>> = { 'POST /service/token': 400, 'GET /api/v2.0/systeminfo/getcert': 404 }

/** What a setting, which is off at first, opens to those who have no login. */
const OPENED = { 'POST /api/v2.0/users': 'self_registration' }

/** The pages, through which people log in: what each answers to whoever is not logged in, and sends nothing. */
const PAGES: Readonly<Record<string, number>> = {
  'GET /': 200,
  'POST /c/login': 400,
  'GET /c/oidc/login': 404,
  'GET /c/oidc/callback': 404,
  'GET /c/oidc/onboard': 400,
  'POST /c/oidc/onboard': 400,
  // Sends to the login.
  'POST /c/log_out': 303,
  'POST /c/cli_secret': 303,
}

/** What each route of a repository needs there. */
const NEEDED: Readonly<Record<string, 'pull' | 'push' | 'delete'>> = {
  'GET manifests': 'pull',
  'HEAD manifests': 'pull',
  'PUT manifests': 'push',
  'DELETE manifests': 'delete',
  'POST uploads': 'push',
  'GET upload': 'push',
  'PATCH upload': 'push',
  'PUT upload': 'push',
  'DELETE upload': 'push',
  'GET blobs': 'pull',
  'HEAD blobs': 'pull',
  'DELETE blobs': 'delete',
  'GET tags': 'pull',
  'HEAD tags': 'pull',
  'GET referrers': 'pull',
  'HEAD referrers': 'pull',
}

const DIGEST = `sha256:${'0'.repeat(64)}`

type Layer = {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> }
  readonly handle: { readonly stack?: readonly Layer[] }
  match(path: string): boolean
}

/** Where a router may be mounted: one that is mounted elsewhere is found, and told of. */
const MOUNTS = ['/service', '/api/v2.0', '/api/varve/v1']

/** Every route of the application that Express serves, as `METHOD path`. */
function walked(): string[] {
  const none = {} as never
  const app = createExpress({
    token: tokenRoutes(none),
    management: managementRouter(managementRoutes, none as Management, none),
    varve: managementRouter(varveRoutes, none as Management, none),
    pages: pageRoutes({ management: none } as never),
    readiness: () => [],
    metrics: createMetrics(),
    metricsToken: undefined,
    logger: { error: () => undefined },
  })
  return walk(app.router as unknown as { readonly stack: readonly Layer[] }, '')
}

function walk({ stack }: { readonly stack: readonly Layer[] }, prefix: string): string[] {
  return stack.flatMap((layer) => {
    const { route, handle } = layer
    if (route !== undefined) return Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${prefix}${route.path}`)
    if (handle.stack === undefined) return []
    // One without a place of its own takes every path.
    const mount = layer.match('/nowhere') ? '' : (MOUNTS.find((path) => layer.match(path)) ?? '?')
    return walk({ stack: handle.stack }, mount)
  })
}

/** The routes whose permission stands in a table, with their whole paths. */
const stated = [
  ...managementRoutes.map((route) => ({ ...route, path: `/api/v2.0${route.path}` })),
  ...varveRoutes.map((route) => ({ ...route, path: `/api/varve/v1${route.path}` })),
]

const inExpress = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1')

const inLibrary = (path: string): string => path.replaceAll(/\{(project\w*)\}/g, 'library').replaceAll(/\{\w+\}/g, '1')

let server: VarveServer
beforeAll(async () => {
  server = await startVarve()
})

describe('every route of the application', () => {
  it('has a stated permission, or stands in the list of the public ones', () => {
    const found = walked()
    const closed = stated.flatMap(({ method, path, needs }) => (needs === 'everybody' ? [] : [`${method.toUpperCase()} ${inExpress(path)}`]))
    expect(found.length).toBeGreaterThan(20)
    expect(found.sort()).toEqual([...closed, ...PUBLIC, READ_ONLY, ...Object.keys(PAGES)].sort())
  })

  it('is opened by no setting but where the list of those says so', () => {
    const opened = stated.flatMap(({ method, path, needs }) =>
      typeof needs === 'object' && 'openBy' in needs ? [[`${method.toUpperCase()} ${path}`, needs.openBy] as const] : [],
    )
    expect(Object.fromEntries(opened)).toEqual(OPENED)
  })

  it('of a repository needs an action there', () => {
    const found = repositoryRoutes.flatMap(({ pattern, methods }) => {
      const place = Object.keys(REPOSITORY_PATHS).find((name) => pattern.test(REPOSITORY_PATHS[name]?.('p/a') ?? ''))
      return Object.keys(methods).map((method) => `${method} ${place ?? String(pattern)}`)
    })
    expect(found.sort()).toEqual(Object.keys(NEEDED).sort())
  })

  it('but for the public ones is closed to whoever does not log in', async () => {
    const answers: string[] = []
    for (const { method, path, needs } of stated) {
      if (needs === 'everybody') continue
      const { status } = await fetch(`${server.url}${inLibrary(path)}`, { method: method.toUpperCase(), ...(method === 'get' || method === 'head' ? {} : { body: '{}' }) })
      answers.push(`${status} ${method} ${path}`)
    }
    for (const each of Object.keys(NEEDED)) {
      const [method = '', place = ''] = each.split(' ')
      for (const name of ['library/app', 'absent/app']) {
        const { status } = await fetch(`${server.url}${REPOSITORY_PATHS[place]?.(name) ?? ''}?digest=${DIGEST}`, { method })
        answers.push(`${status} ${each} ${name}`)
      }
    }
    for (const path of ['/v2/', '/v2/_catalog']) answers.push(`${(await fetch(`${server.url}${path}`)).status} ${path}`)
    expect(answers.filter((answer) => !answer.startsWith('401 '))).toEqual([])
    expect(answers.length).toBe(stated.filter(({ needs }) => needs !== 'everybody').length + 2 * Object.keys(NEEDED).length + 2)
  })

  it('is closed before a body is there, which would be held for whoever knocks', async () => {
    const bodies = stated.flatMap(({ method, path, needs, body }) => (body === undefined || needs === 'everybody' ? [] : [`${method.toUpperCase()} ${inLibrary(path)}`]))
    const pushes = ['library/app', 'absent/app'].map((name) => `PUT ${REPOSITORY_PATHS['manifests']?.(name) ?? ''}`)
    expect(bodies.length).toBeGreaterThan(20)
    for (const each of [...bodies, ...pushes]) {
      for (const coming of ['Content-Length: 2000', 'Transfer-Encoding: chunked', 'Content-Length: 2000\r\nExpect: 100-continue']) {
        const raw = openRaw(server)
        raw.send(`${each} HTTP/1.1\r\nHost: ${server.host}\r\n${coming}\r\n\r\n`)
        expect([each, (await raw.until(/\r\n\r\n/)).split('\r\n', 1)]).toEqual([each, ['HTTP/1.1 401 Unauthorized']])
        raw.socket.destroy()
      }
    }
  })

  it('that is a page answers without a login, and does nothing', async () => {
    for (const [each, expected] of Object.entries(PAGES)) {
      const [method = '', path = ''] = each.split(' ')
      const { status } = await fetch(`${server.url}${path}`, { method, redirect: 'manual' })
      expect([each, status]).toEqual([each, expected])
    }
  })

  it('that is public answers without a login', async () => {
    for (const each of PUBLIC) {
      const [method = '', path = ''] = each.split(' ')
      const { status } = await fetch(`${server.url}${path}`, { method })
      expect([each, status]).toEqual([each, ANSWERS[each] ?? 200])
    }
  })
})
