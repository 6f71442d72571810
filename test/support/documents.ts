import { Ajv } from 'ajv'

/** The answers of the specification that have a body in JSON, each as a schema that knows no more than the specification. */
const ajv = new Ajv({ strict: true })
const texts = { type: 'array', items: { type: 'string' } } as const

const closed = (properties: Readonly<Record<string, object>>, optional: readonly string[] = []) => ({
  type: 'object',
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  properties,
  additionalProperties: false,
})

type ErrorDocument = { readonly errors: readonly [{ readonly code: string; readonly message: string; readonly detail?: unknown }] }

const problem = closed({ code: { type: 'string', pattern: '^[A-Z_]+$' }, message: { type: 'string', minLength: 1 }, detail: {} }, ['detail'])
export const isErrorDocument = ajv.compile<ErrorDocument>(closed({ errors: { type: 'array', minItems: 1, items: problem } }))

export const isTagList = ajv.compile<{ readonly name: string; readonly tags: readonly string[] }>(closed({ name: { type: 'string' }, tags: texts }))

export const isCatalog = ajv.compile<{ readonly repositories: readonly string[] }>(closed({ repositories: texts }))

const descriptor = closed(
  {
    mediaType: { type: 'string' },
    digest: { type: 'string' },
    size: { type: 'integer', minimum: 0 },
    artifactType: { type: 'string' },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
  },
  ['artifactType', 'annotations'],
)

export const isReferrers = ajv.compile(closed({
  schemaVersion: { const: 2 },
  mediaType: { const: 'application/vnd.oci.image.index.v1+json' },
  manifests: { type: 'array', items: descriptor },
}))

/** The value that a text of JSON says; undefined: it says none. */
export function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}
