import { managementClient } from './management.ts'
import type { ApiAnswer, As } from './management.ts'
import type { VarveServer } from './server.ts'

type Server = Pick<VarveServer, 'url' | 'authorization'>

export type Asking = ReturnType<typeof askingAs>

/** The management API as one caller has it; undefined: the administrator. */
export function askingAs(server: Server, as?: As) {
  const api = managementClient(server)
  type Sent = readonly [method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>]
  const parametersOf = ([method, path, body, headers]: Sent) =>
    [method, path, { ...(as === undefined ? {} : { as }), ...(body === undefined ? {} : { body }), ...(headers === undefined ? {} : { headers }) }] as const

  const call = (...sent: Sent): Promise<ApiAnswer> => api.ask(...parametersOf(sent))

  return {
    call,
    /** Status and, for a refusal, its code. */
    asked: (...sent: Sent): Promise<string> => api.asked(...parametersOf(sent)),
    /** The body of an answer that must be 200. */
    async read<T>(path: string): Promise<T> {
      const { status, body } = await call('GET', path)
      if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${JSON.stringify(body)}`)
      return body as T
    },
    /** Makes something, and answers the number that its Location ends with. */
    async make(path: string, body: unknown): Promise<number> {
      const answer = await call('POST', path, body)
      const number = Number(answer.headers.get('Location')?.split('/').at(-1))
      if (answer.status !== 201 || Number.isNaN(number)) throw new Error(`POST ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
      return number
    },
  }
}

const SECRET = 'Of-lakes-and-1-river'

/** Makes a local user, and answers who they are and the API as they have it. */
export async function makeUser(server: Server, name: string) {
  const number = await askingAs(server).make('/users', { username: name, email: `${name}@example.org`, realname: name, password: SECRET })
  const as = { name, secret: SECRET }
  return { name, number, authorization: `Basic ${Buffer.from(`${name}:${SECRET}`).toString('base64')}`, ...askingAs(server, as) }
}
