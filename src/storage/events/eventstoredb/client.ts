import { EventStoreDBClient } from '@eventstore/db-client'
import type { EndPoint } from '@eventstore/db-client'
import { Channel, credentials } from '@grpc/grpc-js'

/** Where the server is, and who asks. */
export type ServerSettings = {
  /** One: that node. More: the members are asked who leads. */
  readonly nodes: readonly EndPoint[]
  /** The one name given stands for several nodes, which are asked who leads. */
  readonly discover: boolean
  readonly user: { readonly name: string; readonly password: string } | undefined
  /** Undefined: no TLS, and then no credentials are sent. `ca`: PEM, undefined where the system's authorities vouch for the server. */
  readonly tls: { readonly ca: Buffer | undefined } | undefined
}

/** How soon a dead connection is found: a ping after so long, and so long for its answer. */
const KEEP_ALIVE_MS = 2_000
/** How long a node may take to say who leads. */
const GOSSIP_SECONDS = 1
const MAX_RECEIVED_BYTES = 17 * 1024 * 1024

/**
 * The client, without what could end the process or hide a dead connection (docs/decisions/0009): it appends by the older call
 * only, does not mend itself (one that failed is replaced), and its connection is shared with no other.
 */
export class LogClient extends EventStoreDBClient {
  readonly #settings: ServerSettings
  #channel: Promise<Channel> | undefined
  #node: string | undefined

  /** `leader`: the node to ask, where another has said that it leads. */
  constructor(settings: ServerSettings, leader: EndPoint | undefined) {
    const { nodes, discover, user, tls } = settings
    const [first = { address: 'localhost', port: 2113 }] = nodes
    const secure = { insecure: tls === undefined, ...(tls?.ca === undefined ? {} : { rootCertificate: tls.ca }) }
    const credentialsOf = user === undefined ? undefined : { username: user.name, password: user.password }
    // Discovery that fails is tried again with a new client, so it need not try for long.
    const search = { nodePreference: 'leader', gossipTimeout: GOSSIP_SECONDS, maxDiscoverAttempts: 2, discoveryInterval: 100 } as const
    if (leader !== undefined) super({ endpoint: leader }, secure, credentialsOf)
    else if (discover) super({ discover: first, ...search }, secure, credentialsOf)
    else if (nodes.length > 1) super({ endpoints: [...nodes], ...search }, secure, credentialsOf)
    else super({ endpoint: first }, secure, credentialsOf)
    this.#settings = settings
  }

  /** No BatchAppend: see above. */
  protected override supports = (): Promise<boolean> => Promise.resolve(false)

  protected override handleError = (): Promise<void> => Promise.resolve()

  protected override getChannel = (): Promise<Channel> => (this.#channel ??= this.#open())

  async #open(): Promise<Channel> {
    const { tls } = this.#settings
    const node = await this.resolveUri()
    this.#node = node
    return new Channel(node, tls === undefined ? credentials.createInsecure() : credentials.createSsl(tls.ca ?? null), {
      'grpc.keepalive_time_ms': KEEP_ALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEP_ALIVE_MS,
      'grpc.max_receive_message_length': MAX_RECEIVED_BYTES,
      'grpc.use_local_subchannel_pool': 1,
    })
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
