import type { VarveServer } from './server.ts'

export type ApiAnswer = { readonly status: number; readonly headers: Headers; readonly body: unknown }

/** Who asks: somebody of a name and secret, or nobody. */
export type As = { readonly name: string; readonly secret: string } | 'nobody'

/** Asks the management API, as the administrator where nothing else is said. */
export function managementClient(server: Pick<VarveServer, 'url' | 'authorization'>) {
  async function ask(method: string, path: string, sent: { readonly as?: As; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {}): Promise<ApiAnswer> {
    const { as, body, headers = {} } = sent
    const authorization = as === undefined ? server.authorization : as === 'nobody' ? undefined : `Basic ${Buffer.from(`${as.name}:${as.secret}`).toString('base64')}`
    const response = await fetch(`${server.url}/api/v2.0${path}`, {
      method,
      headers: { ...(authorization === undefined ? {} : { Authorization: authorization }), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

  return {
    ask,
    /** Status and, for a refusal, its code, such as `404 NOT_FOUND`. */
    async asked(...args: Parameters<typeof ask>): Promise<string> {
      const { status, body } = await ask(...args)
      const [first] = (body as { readonly errors?: readonly { readonly code: string }[] } | undefined)?.errors ?? []
      return first === undefined ? String(status) : `${status} ${first.code}`
    },
    /** The number at the end of the answer's Location. */
    async created(path: string, body: unknown, as?: As): Promise<number> {
      const answer = await ask('POST', path, { body, ...(as === undefined ? {} : { as }) })
      const location = answer.headers.get('Location') ?? ''
      if (answer.status !== 201 || !location.startsWith(`/api/v2.0${path}/`)) throw new Error(`POST ${path}: ${answer.status} ${location} ${JSON.stringify(answer.body)}`)
      return Number(location.slice(location.lastIndexOf('/') + 1))
    },
  }
}

export type ManagementClient = ReturnType<typeof managementClient>
