import type { RequestListener } from 'node:http'
import type { Node } from './node.ts'

/** The few plain requests that a health check makes. */
export function createWeb(node: Node): RequestListener {
  return (request, response) => {
    if (request.method === 'GET' && request.url === '/info') {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ esVersion: '24.10.0-stand-in', state: node.role.kind }))
      return
    }
    if (request.method === 'GET' && request.url === '/health/live') {
      response.statusCode = 204
      response.end()
      return
    }
    response.statusCode = 404
    response.end()
  }
}
