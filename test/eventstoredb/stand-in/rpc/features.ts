import type { sendUnaryData } from '@grpc/grpc-js'
import { GossipService, ServerFeaturesService, StreamsService, SupportedMethod, SupportedMethods } from './generated.ts'
import { UsersService } from './generated-users.ts'
import type { ServerFeatures } from './generated.ts'

const VERSION = '24.10.0-stand-in'

/** The methods that the server has, in lower case, as the real one tells them. */
export function getSupportedMethods(answer: sendUnaryData<ServerFeatures.SupportedMethods>): void {
  const services = [StreamsService, GossipService, ServerFeaturesService, UsersService]
  const paths = services.flatMap((service) => Object.values(service).map(({ path }) => path))
  const methods = new SupportedMethods()
  methods.setMethodsList(paths.map(supported))
  methods.setEventStoreServerVersion(VERSION)
  answer(null, methods)
}

const FEATURES: Readonly<Record<string, readonly string[]>> = {
  '/event_store.client.streams.streams/read': ['position', 'events'],
  '/event_store.client.streams.streams/batchappend': ['deadline_duration'],
}

function supported(path: string): ServerFeatures.SupportedMethod {
  const lower = path.toLowerCase()
  const [, service = '', method = ''] = lower.split('/')
  const supportedMethod = new SupportedMethod()
  supportedMethod.setServiceName(service)
  supportedMethod.setMethodName(method)
  supportedMethod.setFeaturesList([...(FEATURES[lower] ?? [])])
  return supportedMethod
}
