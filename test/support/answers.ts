import { Ajv } from 'ajv'
import type { Route } from '../../src/api/management/route.ts'

/** Says what is wrong with a route's answers, which have no more than its schema for 200 says, and all that it demands: nothing where they fit. */
export function answersOf(routes: readonly Route[], method: string, path: string): (answer: unknown) => string[] {
  const schema = routes.find((route) => route.method === method && route.path === path)?.answers[200]
  if (schema === undefined) throw new Error(`${method} ${path} answers 200 by no schema`)
  const ajv = new Ajv({ allErrors: true, strict: true })
  ajv.addFormat('date-time', { type: 'string', validate: (text: string) => new Date(text).toISOString() === text })
  const check = ajv.compile(closed(schema) as object)
  return (answer) => (check(answer) ? [] : (check.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`))
}

/** The same schema, by which no object has properties that it does not name. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  return 'properties' in inner && !('additionalProperties' in inner) ? { ...inner, additionalProperties: false } : inner
}
