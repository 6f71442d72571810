import { Validator } from '@seriousme/openapi-schema-validator'
import { describe, expect, it } from '@jest/globals'
import { openApiDocument } from '../../../src/api/management/openapi.ts'
import { MANAGEMENT_API, routes as managementRoutes } from '../../../src/api/management/routes.ts'
import { VARVE_API, routes as varveRoutes } from '../../../src/api/varve/routes.ts'

type Operation = { operationId: string; parameters: { name: string; in: string; required: boolean }[]; responses: object; requestBody?: object; security: object[] }
type Document = { paths: Record<string, Record<string, Operation>>; servers: unknown; components: { securitySchemes: object } }

/** As they are sent. */
const documents = [
  { api: MANAGEMENT_API, routes: managementRoutes },
  { api: VARVE_API, routes: varveRoutes },
].map(({ api, routes }) => ({ ...api, routes, document: JSON.parse(JSON.stringify(openApiDocument(routes, api, '1.2.3'))) as Document & Record<string, unknown> }))

describe.each(documents)('the document of $path', ({ path: base, routes, document }) => {
  it('is OpenAPI 3.1', async () => {
    const validator = new Validator()
    expect(await validator.validate(document)).toEqual({ valid: true })
    expect(validator.version).toBe('3.1')
    const broken = { ...document, paths: { '/broken': { get: { responses: { 200: {} } } } } }
    expect(await new Validator().validate(broken)).toMatchObject({ valid: false })
  })

  it('holds every route, once', () => {
    const listed = Object.entries(document.paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method} ${path}`))
    expect(listed.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort())
    const ids = Object.values(document.paths).flatMap((operations) => Object.values(operations).map(({ operationId }) => operationId))
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('says every parameter that a path names, and no other in the path', () => {
    for (const [path, operations] of Object.entries(document.paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort()
      for (const [method, { parameters }] of Object.entries(operations)) {
        const stated = parameters.filter((each) => each.in === 'path')
        expect([method, path, stated.map(({ name }) => name).sort()]).toEqual([method, path, named])
        expect(stated.every(({ required }) => required)).toBe(true)
      }
    }
  })

  it('says where it is served, and by what somebody may log in', () => {
    expect(document.servers).toEqual([{ url: base }])
    expect(document.components.securitySchemes).toMatchObject({ basic: { type: 'http', scheme: 'basic' }, session: { type: 'apiKey', in: 'cookie', name: '__Host-sid' } })
    for (const { method, path, needs } of routes) {
      const open = needs === 'everybody' || (typeof needs === 'object' && 'openBy' in needs)
      expect([path, document.paths[path]?.[method]?.security]).toEqual([path, [...(open ? [{}] : []), { basic: [] }, { session: [] }]])
    }
  })
})

describe('the document of the management API', () => {
  const paths = documents[0]?.document.paths

  it('says what is sent, what is answered, and who may ask', () => {
    const list = paths?.['/projects']?.['get']
    expect(list?.parameters.map(({ name, required }) => `${name}${required ? '*' : ''}`)).toEqual(expect.arrayContaining(['page', 'page_size', 'q', 'sort', 'name']))
    expect(list?.security).toEqual([{}, { basic: [] }, { session: [] }])
    const make = paths?.['/projects']?.['post']
    expect([make?.requestBody !== undefined, make?.security, Object.keys(make?.responses ?? {})]).toEqual([true, [{ basic: [] }, { session: [] }], ['201', 'default']])
    expect(paths?.['/projects']?.['head']?.parameters).toMatchObject([{ name: 'project_name', in: 'query', required: true }])
  })
})
