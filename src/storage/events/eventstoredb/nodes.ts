import { isIP } from 'node:net'
import { checkServerIdentity } from 'node:tls'
import type { EndPoint } from '@eventstore/db-client'
import gossipServices from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import gossip from '@eventstore/db-client/generated/gossip_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import { Channel, Metadata, credentials } from '@grpc/grpc-js'
import { NoNodeError } from './verdict.ts'

/** `ca`: PEM, undefined where the system's authorities vouch for the server. */
export type Tls = { readonly ca: Buffer | undefined }

/** How soon a dead connection is found: a ping after so long, and so long for its answer. */
const KEEP_ALIVE_MS = 2_000
const MAX_RECEIVED_BYTES = 17 * 1024 * 1024
/** How long a node may take to say who leads. */
const GOSSIP_MS = 1_000

export function nodeOf({ address, port }: EndPoint): string {
  return `${isIP(address) === 6 ? `[${address}]` : address}:${port}`
}

/** A connection to a node that is shared with nobody: by default, all channels of a process to one address share theirs, a dead one too. */
export function openChannel(node: string, tls: Tls | undefined): Channel {
  const host = node.slice(0, node.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  const options = {
    'grpc.keepalive_time_ms': KEEP_ALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEP_ALIVE_MS,
    'grpc.max_receive_message_length': MAX_RECEIVED_BYTES,
    'grpc.use_local_subchannel_pool': 1,
  }
  if (tls === undefined) return new Channel(node, credentials.createInsecure(), options)
  const ca = tls.ca ?? null
  if (isIP(host) === 0) return new Channel(node, credentials.createSsl(ca), options)
  // An address is no name to ask for in the handshake (RFC 6066, and Node refuses it); the certificate is held against it all the same.
  const identity = { checkServerIdentity: (_name: string, certificate: Parameters<typeof checkServerIdentity>[1]) => checkServerIdentity(host, certificate) }
  return new Channel(node, credentials.createSsl(ca, null, null, identity), { ...options, 'grpc.ssl_target_name_override': 'eventstoredb.invalid' })
}

/** The nodes that a node believes to lead, and to live. */
async function leadersBy(node: string, tls: Tls | undefined): Promise<string[]> {
  const channel = openChannel(node, tls)
  try {
    const { promise, resolve, reject } = Promise.withResolvers<string[]>()
    const client = new gossipServices.GossipClient(node, credentials.createInsecure(), { channelOverride: channel })
    client.read(new shared.Empty(), new Metadata(), { deadline: Date.now() + GOSSIP_MS }, (error, cluster) => {
      if (error !== null) {
        reject(error)
        return
      }
      const leaders = cluster.getMembersList().filter((member) => member.getIsAlive() && member.getState() === gossip.MemberInfo.VNodeState.LEADER)
      resolve(
        leaders.flatMap((leader) => {
          const endPoint = leader.getHttpEndPoint()
          return endPoint === undefined ? [] : [nodeOf({ address: endPoint.getAddress(), port: endPoint.getPort() })]
        }),
      )
    })
    return await promise
  } finally {
    channel.close()
  }
}

/**
 * Asks nodes who leads, all at once: one that is frozen keeps nobody waiting. For some seconds the others still believe in the one that
 * has just failed, so it is taken only where it says so itself, and none of them names another: what is sent to one that is frozen
 * would wait for its deadline, and perhaps for longer than another takes to lead.
 */
export async function findLeader(nodes: readonly EndPoint[], tls: Tls | undefined, failed: string | undefined): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  // By the name that it is known by, which need not be the one that it was found by.
  const asked = new Set([...nodes.map(nodeOf), ...(failed === undefined ? [] : [failed])])
  let stillLeads: string | undefined
  const errors: unknown[] = []
  const ask = async (node: string): Promise<void> => {
    try {
      for (const leader of await leadersBy(node, tls)) {
        if (leader !== failed) resolve(leader)
        else if (node === failed) stillLeads = leader
      }
    } catch (error) {
      errors.push(error)
    }
  }
  void Promise.all([...asked].map(ask)).then(() => {
    if (stillLeads !== undefined) resolve(stillLeads)
    else reject(new NoNodeError('no node knows who leads', { cause: new AggregateError(errors) }))
  })
  return promise
}
