import type { Seeded } from '../support/random.ts'
import { written } from './conversation.ts'
import { withHeader } from './requests.ts'
import type { Request, World } from './requests.ts'
import type { RawKind } from './script.ts'

/** Bytes in as many pieces as there are places to cut, and one more. */
export function cutAt(whole: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...[...new Set(places)].filter((place) => place > 0 && place < whole.length).sort((a, b) => a - b), whole.length]
  return sorted.slice(1).map((end, index) => whole.subarray(sorted[index], end))
}

export const somePlaces = (length: number, count: number, random: Seeded): number[] => Array.from({ length: count }, () => random.below(length))

/** Half of the time the blob that does not fit on the way, so that there is a middle of its answer. */
const longAnswer = (request: Request, random: Seeded, world: World): Request =>
  request.method !== 'GET' || random.below(2) === 0 ? request : { ...request, path: world.kept.at(-1) ?? '', query: [] }

/** Clients that send slowly, several at once, or end in the middle. */
export const TIMING: Readonly<Record<string, RawKind>> = {
  'pipelined': (request, random, next) => {
    const requests = [request, ...Array.from({ length: 1 + random.below(4) }, next)]
    return { pieces: [Buffer.concat(requests.map((each) => written(each)))], requests }
  },
  'pipelined before what is broken': (request, random, next) => {
    const requests = [request, ...Array.from({ length: random.below(3) }, next)]
    const broken = random.pick(['x\r\n\r\n', '\0', 'GET /v2/ HTTP/1.1\r\nX : y\r\n\r\n', 'GET /v2/ HTTP/9.9\r\n\r\n', 'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'])
    return { pieces: [Buffer.concat([...requests.map((each) => written(each)), Buffer.from(broken, 'latin1')])], requests, broken: 'maybe' }
  },
  'pipelined behind one that closes': (request, _random, next) => {
    const last = withHeader(request, 'Connection', 'close')
    return { pieces: [Buffer.concat([written(last), written(next())])], requests: [last] }
  },
  'slow': (request, random) => {
    const whole = written(request)
    return { pieces: cutAt(whole, somePlaces(whole.length, 1 + random.below(4), random)), pauseMs: 1 + random.below(12), requests: [request] }
  },
  'half-closed after the request': (request) => ({ pieces: [written(request)], ending: 'half', requests: [request] }),
  'half-closed in the request': (request, random) => {
    const whole = written(request)
    return { pieces: [whole.subarray(0, random.below(whole.length))], ending: 'half', requests: [request], owed: 0, broken: 'maybe' }
  },
  'half-closed in the answer': (request, random, _next, world) => {
    const asked = longAnswer(request, random, world)
    return { pieces: [written(asked)], ending: 'half in the answer', requests: [asked] }
  },
  'gone in the request': (request, random) => {
    const whole = written(request)
    return { pieces: [whole.subarray(0, random.below(whole.length + 1))], ending: 'gone', requests: [request] }
  },
  'gone before the answer': (request) => ({ pieces: [written(request)], ending: 'gone', requests: [request] }),
  'gone in the answer': (request, random, _next, world) => {
    const asked = longAnswer(request, random, world)
    return { pieces: [written(asked)], ending: 'gone in the answer', requests: [asked] }
  },
}
