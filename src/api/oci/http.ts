import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { cutWhenLate } from '../held-body.ts'
import type { ServerLog } from '../server-log.ts'
import { askForBody } from '../server.ts'
import { isClientGone, send } from '../reply.ts'
import type { OciAnswerer } from './router.ts'

/** Requests to /v2 as node:http gives them. */
export function createOciHandler(answer: OciAnswerer, logger: Pick<ServerLog, 'error'>) {
  return async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID()
    const body = {
      read: (withinMs?: number) => {
        askForBody(request, response)
        if (withinMs !== undefined) cutWhenLate(request, withinMs)
        return request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
      },
      failed: (error: unknown) => request.destroyed && (!request.complete || error === request.errored),
    }
    try {
      await send(request, response, await answer(request, body, requestId), requestId)
    } catch (error) {
      // The client left, or a file could not be read to its end: the length was said, so cutting the connection tells the client.
      if (!isClientGone(error)) logger.error({ requestId, err: error }, 'an answer could not be written')
      response.destroy()
    }
  }
}
