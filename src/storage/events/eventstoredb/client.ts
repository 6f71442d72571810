import { EventStoreDBClient } from '@eventstore/db-client'
import type { EndPoint } from '@eventstore/db-client'
import type { Channel } from '@grpc/grpc-js'
import { findLeader, nodeOf, openChannel } from './nodes.ts'
import type { Tls } from './nodes.ts'

export type User = { readonly name: string; readonly password: string }

/** Where the server is, and who asks. */
export type ServerSettings = {
  /** One: that node. More: they are asked who leads. */
  readonly nodes: readonly EndPoint[]
  /** The one name given stands for several nodes, which are asked who leads. */
  readonly discover: boolean
  readonly user: User | undefined
  /** Undefined: no TLS, and then no credentials are sent. */
  readonly tls: Tls | undefined
}

/** What is known of the nodes: which says that it leads, and which has just failed. */
export type Hint = { readonly leader?: EndPoint; readonly failed?: string }

/**
 * The client, without what could end the process or hide a dead connection (docs/decisions/0009): it appends by the older call
 * only, does not mend itself (one that failed is replaced), and finds its node and connects to it as `nodes.ts` does.
 */
export class LogClient extends EventStoreDBClient {
  readonly #settings: ServerSettings
  readonly #hint: Hint
  #channel: Promise<Channel> | undefined
  #node: string | undefined

  constructor(settings: ServerSettings, hint: Hint = {}) {
    const { nodes, user, tls } = settings
    const [endpoint] = nodes
    if (endpoint === undefined) throw new Error('there is no node to ask')
    super({ endpoint }, { insecure: tls === undefined }, user === undefined ? undefined : { username: user.name, password: user.password })
    this.#settings = settings
    this.#hint = hint
  }

  /** No BatchAppend: see above. */
  protected override supports = (): Promise<boolean> => Promise.resolve(false)

  protected override handleError = (): Promise<void> => Promise.resolve()

  protected override getChannel = (): Promise<Channel> => (this.#channel ??= this.#open())

  async #open(): Promise<Channel> {
    const { nodes, discover, tls } = this.#settings
    const { leader, failed } = this.#hint
    const [first] = nodes
    if (leader !== undefined) this.#node = nodeOf(leader)
    else if (discover || nodes.length > 1 || first === undefined) this.#node = await findLeader(nodes, tls, failed)
    else this.#node = nodeOf(first)
    return openChannel(this.#node, tls)
  }

  /** `host:port` that it talks to, once it is known. */
  node(): string | undefined {
    return this.#node
  }

  /** Ends what is under way. Nothing is waited for: `dispose` may stay pending for ever where a read was given up. */
  close(): void {
    const ignored = (): undefined => undefined
    this.dispose().catch(ignored)
    this.#channel?.then((channel) => {
      channel.close()
    }, ignored)
  }
}
