import { createServer } from 'node:https'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import { one } from './certificates.ts'
import { listen } from './outbound.ts'

export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'

/** An issuer of ID tokens that says whatever a test lets it say, honest or not; its certificate is `one`. */
export type Issuer = {
  readonly url: string
  /** The paths that were asked for, in order. */
  readonly asked: string[]
  /** What it answers at a path, beside its keys: JSON, and the status. Settable. */
  readonly answers: Map<string, { readonly status: number; readonly body: unknown }>
  /** A token of these claims, of this issuer, now, for five minutes, unless they say otherwise. */
  sign(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>, key?: CryptoKey): Promise<string>
  /** A new key in the old one's place. */
  rotate(algorithm?: Algorithm): Promise<void>
  /** What it publishes. */
  keys(): readonly JWK[]
}

export async function startIssuer(algorithm: Algorithm = 'ES256'): Promise<Issuer> {
  const asked: string[] = []
  const answers: Issuer['answers'] = new Map()
  let published: JWK[] = []
  let signing: { readonly key: CryptoKey; readonly alg: string; readonly kid: string } | undefined
  let rotations = 0

  async function rotate(alg: Algorithm = algorithm): Promise<void> {
    const pair = await generateKeyPair(alg)
    const kid = `key-${rotations++}`
    signing = { key: pair.privateKey, alg, kid }
    published = [{ ...(await exportJWK(pair.publicKey)), alg, kid, use: 'sig' }]
  }
  await rotate()

  const server = createServer(one, (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const { status, body } =
      answers.get(path) ?? (path === '/jwks' ? { status: 200, body: { keys: published } } : { status: 404, body: {} })
    request.resume().on('end', () => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  const port = await listen(server)
  const url = `https://127.0.0.1:${port}`
  answers.set('/.well-known/openid-configuration', {
    status: 200,
    body: {
      issuer: url,
      jwks_uri: `${url}/jwks`,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'HS256', 'none'],
    },
  })

  async function sign(
    claims: Readonly<Record<string, unknown>>,
    header: Readonly<Record<string, unknown>> = {},
    key?: CryptoKey,
  ): Promise<string> {
    if (signing === undefined) throw new Error('There is no key to sign with')
    const now = Math.floor(Date.now() / 1_000)
    return new SignJWT({ iss: url, iat: now, exp: now + 300, ...claims })
      .setProtectedHeader({ alg: signing.alg, kid: signing.kid, typ: 'JWT', ...header })
      .sign(key ?? signing.key)
  }

  return { url, asked, answers, sign, rotate, keys: () => published }
}
