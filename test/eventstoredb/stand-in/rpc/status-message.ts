import { Any, StatusMessage } from './generated.ts'
import type { Message, Status, StatusCode } from './generated.ts'

/** An error inside an answer: `details` packed under their full name. */
export function statusMessage(code: StatusCode, message: string, details: Message, name: string): Status.Status {
  const packed = new Any()
  packed.pack(details.serializeBinary(), name)
  const status = new StatusMessage()
  status.setCode(code)
  status.setMessage(message)
  status.setDetails(packed)
  return status
}
