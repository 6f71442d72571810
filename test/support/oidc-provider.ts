import { createServer, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { exportJWK, generateKeyPair } from 'jose'
import type { Configuration, Provider } from 'oidc-provider'
import { one } from './certificates.ts'
import { closeServer, listen } from './outbound.ts'

export const CLIENT = { id: 'varve', secret: 'a secret of the client, for tests' }

/** What the provider says of somebody; whoever signs in as `alice` is `alice`, with any password. */
export type Accounts = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export type RunningProvider = {
  readonly url: string
  /** New keys in the old ones' place. */
  rotateKeys(): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
}

/** A real provider, https on loopback with the certificate `one`; its own login page asks for a name and a password. */
export async function startProvider(redirectUris: readonly string[], accounts: Accounts): Promise<RunningProvider> {
  let provider: Provider | undefined
  const server = createServer(one, (incoming, response) => {
    void provider?.callback()(incoming, response)
  })
  const port = await listen(server)
  const url = `https://127.0.0.1:${port}`

  async function rotateKeys(): Promise<void> {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true })
    const key = await exportJWK(privateKey)
    await quietly(async () => {
      const { Provider } = await import('oidc-provider')
      provider = new Provider(url, configuration(redirectUris, accounts, key))
    })
  }
  await rotateKeys()
  return {
    url,
    rotateKeys,
    stop: () => closeServer(server),
    start: async () => {
      await listen(server, port)
    },
  }
}

/** It warns of what a test wants: that it keeps all in memory, and lets everybody in. */
async function quietly(work: () => Promise<void>): Promise<void> {
  const { info, warn } = console
  Object.assign(console, { info: () => undefined, warn: () => undefined })
  try {
    await work()
  } finally {
    Object.assign(console, { info, warn })
  }
}

function configuration(redirectUris: readonly string[], accounts: Accounts, key: object): Configuration {
  return {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [...redirectUris],
        post_logout_redirect_uris: redirectUris.map((uri) => `${new URL(uri).origin}/`),
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    // Seconds. The test for keys puts the clock on by a minute.
    ttl: { Interaction: 600, Grant: 600, Session: 600, AuthorizationCode: 600, AccessToken: 600, IdToken: 600 },
    pkce: { required: () => true },
    jwks: { keys: [key] },
    cookies: { keys: ['a key of the provider, for tests'] },
    features: {
      rpInitiatedLogout: {
        logoutSource: (context, form) => {
          context.body = `<!DOCTYPE html><title>Log out here too?</title>${form}<button form="op.logoutForm" name="logout" value="yes">Yes</button>`
        },
      },
    },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'], groups: ['groups'] },
    findAccount: (_context, id) => {
      const claims = accounts[id]
      return claims === undefined ? undefined : { accountId: id, claims: () => ({ sub: id, ...claims }) }
    },
    // Whoever signs in agrees, so that no second page asks.
    loadExistingGrant: async (context) => {
      const { provider, client, session, params } = context.oidc
      if (client === undefined || session?.accountId === undefined) return undefined
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope(String(params?.['scope']))
      await grant.save()
      return grant
    },
  }
}

/** What a browser does that signs in as somebody: the query with which the provider sends it back to the redirect URI. */
export async function signIn(url: string, login: string, redirectUri: string): Promise<string> {
  const cookies = new Map<string, string>()
  let [next, form] = [url, undefined as string | undefined]
  for (let step = 0; step < 10; step++) {
    const response = await visit(next, cookies, form)
    for (const cookie of response.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      cookies.set(name, value)
    }
    form = undefined
    const { location } = response.headers
    // The login page: its form goes to where it stands.
    if (location === undefined) {
      if (response.statusCode !== 200) throw new Error(`The provider answers ${next} with ${String(response.statusCode)}`)
      form = new URLSearchParams({ prompt: 'login', login, password: 'any' }).toString()
      continue
    }
    next = new URL(location, next).href
    if (next.startsWith(`${redirectUri}?`)) return new URL(next).search
  }
  throw new Error('The provider sends from page to page without an end')
}

function visit(url: string, cookies: ReadonlyMap<string, string>, form: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = {
      Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      ...(form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }),
    }
    request(url, { ca: one.cert, method: form === undefined ? 'GET' : 'POST', headers, agent: false }, (response) => {
      response.resume().on('end', () => {
        resolve(response)
      })
    })
      .on('error', reject)
      .end(form)
  })
}
