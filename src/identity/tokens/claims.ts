import { Type } from '@sinclair/typebox'
import type { Static, TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'

const closed = { additionalProperties: false } as const
const Text = Type.String({ minLength: 1 })
const Seconds = Type.Integer({ minimum: 0 })

/** `sub` is a random id behind what it is the id of; nothing of a person stands in a token. */
const registered = {
  iss: Text,
  aud: Text,
  sub: Type.String({ pattern: '^((user|robot):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|anonymous:[\\w-]+)$' }),
  iat: Seconds,
  nbf: Seconds,
  exp: Seconds,
  jti: Text,
  /** The generation of the credential that it was given for: opaque here, compared by who knows today's. */
  cred: Type.String(),
}

const AccessSchema = Type.Object(
  {
    ...registered,
    access: Type.Array(Type.Object({ type: Text, name: Text, actions: Type.Array(Text) }, closed)),
  },
  closed,
)
const RefreshSchema = Type.Object(registered, closed)

export type AccessClaims = Static<typeof AccessSchema>
export type RefreshClaims = Static<typeof RefreshSchema>

const ajv = new Ajv({ strict: true })

function parser<S extends TSchema>(schema: S): (claims: unknown) => Static<S> | undefined {
  const isValid = ajv.compile<Static<S>>(schema)
  return (claims) => (isValid(claims) ? claims : undefined)
}

export const parseAccessClaims = parser(AccessSchema)
export const parseRefreshClaims = parser(RefreshSchema)
