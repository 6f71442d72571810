import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

/*
 * Harbor's own description of its API, which stands outside the project: what a client asked is found in it, and what was
 * answered is held against its models.
 */

type Schema = {
  readonly $ref?: string
  readonly type?: string
  readonly format?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
}
type Response = { readonly $ref?: string; readonly schema?: Schema }
type Operation = { readonly operationId: string; readonly tags: readonly string[]; readonly responses: Readonly<Record<string, Response>> }
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly responses: Readonly<Record<string, Response>>
  readonly definitions: Readonly<Record<string, Schema>>
}

export type Call = { readonly function: string; readonly method: string; readonly path: string; readonly status: number; readonly answer: string }

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete']
const shared = process.env['VARVE_TEST_SHARED'] ?? ''

/** Undefined where the machine does not say where it is. */
export const harborDocument = shared === '' ? undefined : openDocument(join(shared, 'fixtures/harbor/swagger.yaml'))

function openDocument(file: string) {
  const document = parse(readFileSync(file, 'utf8')) as Document
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    METHODS.flatMap((method) => {
      const operation = methods[method]
      return operation === undefined ? [] : [{ path, method, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+').replace(/\/$/, '')}/?$`), ...operation }]
    }),
  )

  /** Paths without a parameter come first: `/users/current` is no user's. */
  function operationOf({ method, path }: Pick<Call, 'method' | 'path'>) {
    const bare = path.replace('/api/v2.0', '').split('?', 1)[0] ?? ''
    const fitting = operations.filter((each) => each.method === method.toLowerCase() && each.pattern.test(bare))
    return fitting.find((each) => each.path === bare) ?? fitting[0]
  }

  function schemaOf(response: Response | undefined): Schema | undefined {
    return response?.$ref === undefined ? response?.schema : document.responses[nameIn(response.$ref)]?.schema
  }

  /** What of a value a schema does not know, or has as another type. */
  function problemsIn(value: unknown, schema: Schema, where: string): string[] {
    if (schema.$ref !== undefined) return problemsIn(value, document.definitions[nameIn(schema.$ref)] ?? {}, where)
    if (Array.isArray(value)) {
      return schema.type === 'array' ? value.flatMap((each, index) => problemsIn(each, schema.items ?? {}, `${where}[${index}]`)) : [`${where} is an array`]
    }
    if (typeof value === 'object' && value !== null) {
      if (schema.type !== undefined && schema.type !== 'object') return [`${where} is an object`]
      return Object.entries(value).flatMap(([name, field]) => {
        const known = schema.properties?.[name] ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined)
        return known === undefined ? [`${where}.${name} is not in the model`] : problemsIn(field, known, `${where}.${name}`)
      })
    }
    const fits =
      schema.type === undefined ||
      (schema.type === 'integer' ? Number.isInteger(value) : typeof value === schema.type) && (schema.format !== 'date-time' || !Number.isNaN(Date.parse(String(value))))
    return fits ? [] : [`${where} is ${JSON.stringify(value)}, and not of type ${schema.type}`]
  }

  return {
    operationOf,
    /** The names of all operations under tags. */
    operations: (tags: readonly string[]): string[] => operations.filter((each) => each.tags.some((tag) => tags.includes(tag))).map(({ operationId }) => operationId),
    /** What an answer has that the document does not. */
    problems(call: Call): string[] {
      const { function: name, method, path, status, answer } = call
      const where = `${name}: ${method} ${path} ${status}`
      const operation = operationOf(call)
      if (operation === undefined) return [`${where}: there is no such operation`]
      const response = operation.responses[String(status)]
      if (response === undefined) return [`${where}: there is no such answer`]
      // A refusal has its form also where the document does not say it again.
      const schema = schemaOf(response) ?? (status >= 400 ? { $ref: '#/definitions/Errors' } : undefined)
      if (answer === '') return []
      if (schema === undefined) return [`${where}: it has no body`]
      // A text is answered as it is.
      return problemsIn(schema.type === 'string' ? answer : JSON.parse(answer), schema, where)
    },
  }
}

function nameIn(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1)
}
