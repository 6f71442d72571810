import grpc from '@grpc/grpc-js'
import type { Calls } from '../calls.ts'
import type { Node } from '../node.ts'
import { append } from './append.ts'
import { batchAppend } from './batch-append.ts'
import { deleteStream, tombstone } from './delete.ts'
import { getSupportedMethods } from './features.ts'
import { GossipService, ServerFeaturesService, StreamsService } from './generated.ts'
import type { IGossipServer, IServerFeaturesServer, IStreamsServer } from './generated.ts'
import { readGossip } from './gossip.ts'
import type { Subscriptions } from './outlet.ts'
import { read } from './read.ts'

/** As large as the client takes messages. */
const MAX_MESSAGE_BYTES = 17 * 1024 * 1024

/** The services of a node; nothing listens yet. */
export function createServices(node: Node, calls: Calls, subscriptions: Subscriptions): grpc.Server {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES, 'grpc.max_send_message_length': -1 })
  const streams: IStreamsServer = {
    read: (call) => {
      read({ node, calls, subscriptions }, call)
    },
    append: (call, answer) => {
      append(calls, call, answer)
    },
    delete: (call, answer) => {
      deleteStream(calls, call, answer)
    },
    tombstone: (call, answer) => {
      tombstone(calls, call, answer)
    },
    batchAppend: (call) => {
      batchAppend(calls, call)
    },
  }
  const gossip: IGossipServer = {
    read: (_call, answer) => {
      readGossip(node.members(), answer)
    },
  }
  const features: IServerFeaturesServer = {
    getSupportedMethods: (_call, answer) => {
      getSupportedMethods(answer)
    },
  }
  server.addService(StreamsService, streams)
  server.addService(GossipService, gossip)
  server.addService(ServerFeaturesService, features)
  return server
}
