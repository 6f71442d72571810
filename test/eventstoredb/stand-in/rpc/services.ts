import grpc from '@grpc/grpc-js'
import type { Served } from '../served.ts'
import { append } from './append.ts'
import { batchAppend } from './batch-append.ts'
import { deleteStream, tombstone } from './delete.ts'
import { getSupportedMethods } from './features.ts'
import { GossipService, ServerFeaturesService, StreamsService } from './generated.ts'
import type { IGossipServer, IServerFeaturesServer, IStreamsServer } from './generated.ts'
import { readGossip } from './gossip.ts'
import { read } from './read.ts'
import { createUsers } from './users.ts'
import { UsersService } from './generated-users.ts'

/** As large as the client takes messages. */
const MAX_MESSAGE_BYTES = 17 * 1024 * 1024

/** The services of a node; nothing listens yet. */
export function createServices(served: Served): grpc.Server {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES, 'grpc.max_send_message_length': -1 })
  const streams: IStreamsServer = {
    read: (call) => {
      read(served, call)
    },
    append: (call, answer) => {
      append(served, call, answer)
    },
    delete: (call, answer) => {
      deleteStream(served, call, answer)
    },
    tombstone: (call, answer) => {
      tombstone(served, call, answer)
    },
    batchAppend: (call) => {
      batchAppend(served, call)
    },
  }
  const gossip: IGossipServer = {
    read: (_call, answer) => {
      readGossip(served.node.members(), answer)
    },
  }
  const features: IServerFeaturesServer = {
    getSupportedMethods: (_call, answer) => {
      getSupportedMethods(answer)
    },
  }
  server.addService(StreamsService, streams)
  server.addService(UsersService, createUsers(served))
  server.addService(GossipService, gossip)
  server.addService(ServerFeaturesService, features)
  return server
}
