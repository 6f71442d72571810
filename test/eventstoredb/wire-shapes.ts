/*
 * The shape of what a server sends: which fields stand in a message, and what kind of value in each. Two servers whose messages have the
 * same shapes look the same to a client, whatever ids and positions they give.
 */

type Plain = Readonly<Record<string, unknown>>

/** What a server sent in answer to a call: its messages as plain objects, and what the call ended with. */
export type SentCall = { readonly path: string; readonly messages: readonly Plain[]; readonly status: Plain | undefined }

/** Bytes stand as base64 or decoded, so nothing is said of them but that they are there. */
const BYTES = ['streamName', 'data', 'customMetadata', 'value']
/** Texts that a client acts upon. */
const EXACT = ['message', 'typeUrl', 'contentType']
/** Trailers that grpc libraries add by themselves. */
const ADDED = ['content-type', 'content-length', 'date', 'server']

const CANCELLED = 1

/** The shapes of all messages and ends of calls, each once, in the order of their text. */
export function shapesOf(calls: readonly SentCall[]): string[] {
  const shapes = calls.flatMap(({ path, messages, status }) => {
    const method = path.split('/').at(-1) ?? path
    const sent = messages.map((message) => `${method} sends ${JSON.stringify(shapeOf(message))}`)
    // A call that the client ended says nothing of the server, and it is always the client that ends the batch call.
    if (status === undefined || status['code'] === CANCELLED || method === 'BatchAppend') return sent
    return [...sent, `${method} ends with ${endOf(status)}`]
  })
  return [...new Set(shapes)].sort()
}

function endOf({ code, details, metadata }: Plain): string {
  const trailers = isPlain(metadata) ? Object.keys(metadata) : []
  const added = trailers.filter((name) => !ADDED.includes(name)).sort()
  // Of a call that went well, libraries differ in whether they say `OK`.
  const text = typeof details === 'string' && code !== 0 ? details.replaceAll(/'[^']*'|Stream: \S+,|\d+/g, '…') : ''
  return `${String(code)} ${JSON.stringify(text)} ${JSON.stringify(added)}`
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shapeOf(value: unknown, name = ''): unknown {
  if (BYTES.includes(name)) return 'bytes'
  if (typeof value === 'string') return EXACT.includes(name) ? value : /^\d+$/.test(value) ? 'digits' : 'text'
  if (typeof value === 'number') return name === 'code' ? value : 'number'
  if (Array.isArray(value)) return listShape(value, name)
  if (!isPlain(value)) return typeof value
  // An id; the recording holds its text alone.
  if (typeof value['string'] === 'string') return 'text'
  const fields = Object.entries(value).filter(([, each]) => each !== undefined)
  fields.sort(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(fields.map(([field, each]) => [field, shapeOf(each, field)]))
}

/** A map's keys with their values' shapes; of another list the shapes of its elements, each once. Recordings leave out some elements. */
function listShape(list: readonly unknown[], name: string): unknown {
  const elements = list.filter((each) => typeof each !== 'string' || !/^<\d+ more>$/.test(each))
  if (name === 'metadataMap') return elements.map((each) => (Array.isArray(each) ? [each[0], 'text'] : each)).sort()
  return [...new Set(elements.map((each) => JSON.stringify(shapeOf(each))))].sort().map((each): unknown => JSON.parse(each))
}
