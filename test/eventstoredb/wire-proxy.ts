import featuresServices from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import streamsServices from '@eventstore/db-client/generated/streams_grpc_pb.js'
import grpc from '@grpc/grpc-js'
import type { Message } from 'google-protobuf'
import type { SentCall } from './wire-shapes.ts'

export type WireProxy = {
  readonly address: string
  /** What the server has sent so far. */
  readonly calls: readonly SentCall[]
  close(): void
}

type Bytes = Buffer
type Plain = Readonly<Record<string, unknown>>
type Recorded = { path: string; messages: Plain[]; status: Plain | undefined }
type Method = grpc.MethodDefinition<Bytes, Bytes>
type Call = { read: (bytes: Bytes) => Plain; upstream: grpc.Client; recorded: Recorded; method: Method }

const passed = (bytes: Bytes): Bytes => bytes
const UNLIMITED = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }

/** Stands between a client and a server, hands on every byte, and keeps what the server sends. */
export async function startWireProxy(server: string): Promise<WireProxy> {
  const calls: Recorded[] = []
  const upstream = new grpc.Client(server, grpc.credentials.createInsecure(), UNLIMITED)
  const front = new grpc.Server(UNLIMITED)
  for (const service of [streamsServices.StreamsService, featuresServices.ServerFeaturesService]) {
    const definition: Record<string, Method> = {}
    const handlers: grpc.UntypedServiceImplementation = {}
    for (const [name, generated] of Object.entries(service)) {
      const { path, requestStream, responseStream } = generated
      const method: Method = {
        path,
        requestStream,
        responseStream,
        requestSerialize: passed,
        requestDeserialize: passed,
        responseSerialize: passed,
        responseDeserialize: passed,
      }
      const read = (bytes: Bytes): Plain => (generated.responseDeserialize(bytes) as Message).toObject()
      definition[name] = method
      handlers[name] = handlerOf(() => {
        const recorded: Recorded = { path, messages: [], status: undefined }
        calls.push(recorded)
        return { read, upstream, recorded, method }
      })
    }
    front.addService(definition, handlers)
  }
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  front.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error === null) resolve(port)
    else reject(error)
  })
  const address = `127.0.0.1:${await promise}`
  return {
    address,
    calls,
    close() {
      front.forceShutdown()
      upstream.close()
    },
  }
}

type Incoming = grpc.ServerDuplexStream<Bytes, Bytes> & { readonly request?: Bytes }

/** One handler does for all four kinds of calls: towards the server each is made as if both sides sent streams. */
function handlerOf(begin: () => Call): grpc.UntypedHandleCall {
  return (incoming: Incoming, answer?: grpc.sendUnaryData<Bytes>) => {
    const { read, upstream, recorded, method } = begin()
    const outgoing = upstream.makeBidiStreamRequest(method.path, passed, passed, incoming.metadata.clone())
    let single: Bytes | undefined
    if (method.requestStream) {
      incoming.on('data', (bytes: Bytes) => outgoing.write(bytes))
      incoming.on('end', () => {
        outgoing.end()
      })
    } else {
      outgoing.write(incoming.request ?? Buffer.alloc(0))
      outgoing.end()
    }
    outgoing.on('data', (bytes: Bytes) => {
      recorded.messages.push(read(bytes))
      single = bytes
      if (method.responseStream) incoming.write(bytes)
    })
    outgoing.on('error', () => undefined)
    outgoing.on('status', (status: grpc.StatusObject) => {
      recorded.status = { code: status.code, details: status.details, metadata: status.metadata.getMap() }
      if (method.responseStream) endStream(incoming, status)
      else answer?.(status.code === grpc.status.OK ? null : status, single)
    })
    incoming.on('cancelled', () => {
      outgoing.cancel()
    })
  }
}

function endStream(incoming: Incoming, status: grpc.StatusObject): void {
  if (incoming.cancelled) return
  if (status.code === grpc.status.OK) incoming.end()
  else incoming.emit('error', status)
}
