import { json } from 'node:stream/consumers'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { parseWrite, plainWriteResult } from './cluster/writes.ts'
import { OrderError, parseAction, parseFault } from './control.ts'
import type { Control } from './control.ts'

/**
 * The plain requests: the few that a health check makes, and, which the real server has not, those below /stand-in. There a test sets
 * faults (POST /stand-in/faults, DELETE to clear them), has something done at once (POST /stand-in/actions) and asks what was called, and
 * there another node hands on a write.
 */
export function createWeb(control: Control): RequestListener {
  return (request, response) => {
    answer(control, request).then(
      ({ status, body }) => {
        write(response, status, body)
      },
      (error: unknown) => {
        write(response, error instanceof OrderError ? 400 : 500, { error: String(error) })
      },
    )
  }
}

type Answer = { readonly status: number; readonly body?: unknown }

async function answer(control: Control, request: IncomingMessage): Promise<Answer> {
  switch (`${String(request.method)} ${String(request.url)}`) {
    case 'GET /info':
      return { status: 200, body: { esVersion: '24.10.0-stand-in', state: control.status().state } }
    case 'GET /health/live':
      return { status: 204 }
    case 'GET /stand-in':
      return { status: 200, body: control.status() }
    case 'POST /stand-in/faults':
      control.addFault(parseFault(await json(request)))
      return { status: 204 }
    case 'DELETE /stand-in/faults':
      control.clearFaults()
      return { status: 204 }
    case 'POST /stand-in/actions':
      await control.act(parseAction(await json(request)))
      return { status: 204 }
    case 'POST /stand-in/writes':
      return { status: 200, body: plainWriteResult(await control.write(parseWrite(await json(request)))) }
    default:
      return { status: 404 }
  }
}

function write(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status
  // The same port serves gRPC, whose connections are cut by order: none is kept for a next request.
  response.setHeader('connection', 'close')
  if (body === undefined) {
    response.end()
    return
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(body))
}
