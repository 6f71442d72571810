import { Validator } from '@seriousme/openapi-schema-validator'
import { describe, expect, it } from '@jest/globals'
import { openApiDocument } from '../../../src/api/management/openapi.ts'
import { routes } from '../../../src/api/management/routes.ts'

type Operation = { operationId: string; parameters: { name: string; in: string; required: boolean }[]; responses: object; requestBody?: object; security: object[] }
type Document = { paths: Record<string, Record<string, Operation>> }

/** As it is sent. */
const document = JSON.parse(JSON.stringify(openApiDocument(routes, '1.2.3'))) as Document & Record<string, unknown>

describe('the document of the management API', () => {
  it('is OpenAPI 3.1', async () => {
    const validator = new Validator()
    expect(await validator.validate(document)).toEqual({ valid: true })
    expect(validator.version).toBe('3.1')
    const broken = { ...document, paths: { '/projects': { get: { responses: { 200: {} } } } } }
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

  it('says what is sent, what is answered, and who may ask', () => {
    const list = document.paths['/projects']?.['get']
    expect(list?.parameters.map(({ name, required }) => `${name}${required ? '*' : ''}`)).toEqual(expect.arrayContaining(['page', 'page_size', 'q', 'sort', 'name']))
    expect(list?.security).toEqual([{}, { basic: [] }])
    const make = document.paths['/projects']?.['post']
    expect([make?.requestBody !== undefined, make?.security, Object.keys(make?.responses ?? {})]).toEqual([true, [{ basic: [] }], ['201', 'default']])
    expect(document.paths['/projects']?.['head']?.parameters).toMatchObject([{ name: 'project_name', in: 'query', required: true }])
  })
})
