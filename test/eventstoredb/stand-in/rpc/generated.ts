/*
 * The client package's generated classes and services. They are CommonJS whose exports a module loader does not see, so each value is
 * taken from the default export, and its type beside it.
 */
import code from '@eventstore/db-client/generated/code_pb.js'
import featuresServices from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import features from '@eventstore/db-client/generated/serverfeatures_pb.js'
import gossipServices from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import gossip from '@eventstore/db-client/generated/gossip_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import status from '@eventstore/db-client/generated/status_pb.js'
import streamsServices from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import any from 'google-protobuf/google/protobuf/any_pb.js'
import empty from 'google-protobuf/google/protobuf/empty_pb.js'

export type { IGossipServer } from '@eventstore/db-client/generated/gossip_grpc_pb.js'
export type { IServerFeaturesServer } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
export type { IStreamsServer } from '@eventstore/db-client/generated/streams_grpc_pb.js'
export type { Code as StatusCode } from '@eventstore/db-client/generated/code_pb.js'
export type * as Gossip from '@eventstore/db-client/generated/gossip_pb.js'
export type * as ServerFeatures from '@eventstore/db-client/generated/serverfeatures_pb.js'
export type * as Shared from '@eventstore/db-client/generated/shared_pb.js'
export type * as Status from '@eventstore/db-client/generated/status_pb.js'
export type * as Streams from '@eventstore/db-client/generated/streams_pb.js'
export type { Message } from 'google-protobuf'

export const { ClusterInfo, EndPoint, MemberInfo } = gossip
export const { SupportedMethods, SupportedMethod } = features
export const { AllStreamPosition, Empty, StreamIdentifier, UUID } = shared
export const { AccessDenied, BadRequest, MaximumAppendSizeExceeded, StreamDeleted, Timeout, WrongExpectedVersion } = shared
export const { Status: StatusMessage } = status
export const { AppendResp, BatchAppendResp, DeleteResp, ReadReq, ReadResp, TombstoneResp } = streams
export const { Code } = code
export const { Any } = any
/** Of google.protobuf; the server's own is `Empty`. */
export const { Empty: GoogleEmpty } = empty
export const { StreamsService } = streamsServices
export const { GossipService } = gossipServices
export const { ServerFeaturesService } = featuresServices
