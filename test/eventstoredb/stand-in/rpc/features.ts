import type { sendUnaryData } from '@grpc/grpc-js'
import { GossipService, ServerFeaturesService, StreamsService, SupportedMethod, SupportedMethods } from './generated.ts'
import type { ServerFeatures } from './generated.ts'

const VERSION = '24.10.0-stand-in'

/** The methods that the server has, in lower case, as the real one tells them. */
export function getSupportedMethods(answer: sendUnaryData<ServerFeatures.SupportedMethods>): void {
  const paths = [StreamsService, GossipService, ServerFeaturesService].flatMap((service) => Object.values(service).map(({ path }) => path))
  const methods = new SupportedMethods()
  methods.setMethodsList(paths.map(supported))
  methods.setEventStoreServerVersion(VERSION)
  answer(null, methods)
}

function supported(path: string): ServerFeatures.SupportedMethod {
  const [, service = '', method = ''] = path.toLowerCase().split('/')
  const supportedMethod = new SupportedMethod()
  supportedMethod.setServiceName(service)
  supportedMethod.setMethodName(method)
  return supportedMethod
}
