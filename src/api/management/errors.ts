import type { Rejection } from '../../commands/rejection.ts'
import { json } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { AuthRefusal } from '../authenticate.ts'
import { apiError } from './route.ts'
import type { ApiError } from './route.ts'

const REJECTIONS: Readonly<Record<Rejection['code'], readonly [ApiError['status'], string]>> = {
  INVALID: [400, 'BAD_REQUEST'],
  NOT_FOUND: [404, 'NOT_FOUND'],
  CONFLICT: [409, 'CONFLICT'],
  PRECONDITION: [412, 'PRECONDITION'],
}

/** Harbor's error document. */
export function errorReply(error: ApiError | Rejection, headers: Reply['headers'] = {}): Reply {
  const [status, code] = 'status' in error ? [error.status, error.code] : REJECTIONS[error.code]
  return json(status, { errors: [{ code, message: error.message }] }, headers)
}

export function notLetIn(why: AuthRefusal): Reply {
  switch (why.reason) {
    case 'credentials':
    case 'token':
      return errorReply(apiError(401, 'UNAUTHORIZED', 'the name or the password is wrong'))
    case 'wait':
      return errorReply(apiError(429, 'TOO_MANY_REQUEST', 'too many logins failed or are under way: try again later'), { 'Retry-After': why.seconds })
    case 'directory':
      return errorReply(apiError(503, 'UNAVAILABLE', 'the directory that knows this user cannot be asked at the moment'), { 'Retry-After': 5 })
  }
}
