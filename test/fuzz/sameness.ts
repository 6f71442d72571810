import type { Seeded } from '../support/random.ts'
import { converse, written } from './conversation.ts'
import type { Heard, Server } from './conversation.ts'
import { targetOf } from './requests.ts'
import type { Request } from './requests.ts'
import { cutAt, somePlaces } from './timing.ts'

/** Headers that two answers to the same question may differ in. */
const VOLATILE = ['x-request-id', 'date']
const OF_CONNECTION = [...VOLATILE, 'connection', 'keep-alive']

/** Compares what a server says to the same question in two guises; undefined: it says the same. `next` makes more steady requests. */
export type SamenessKind = (server: Server, request: Request, random: Seeded, next: () => Request) => Promise<string | undefined>

type Said = Heard['answers'][number]

async function ask(server: Server, pieces: readonly Buffer[], requests: readonly Request[], pauseMs?: number): Promise<readonly Said[]> {
  const { answers } = await converse(server, { pieces, methods: requests.map(({ method }) => method), ending: 'answered', ...(pauseMs === undefined ? {} : { pauseMs }) })
  return answers
}

const shown = ({ line, headers, body }: Said, without: readonly string[]): string =>
  `${line} ${JSON.stringify(Object.entries(headers).filter(([key]) => !without.includes(key)))} ${body.toString('latin1').slice(0, 1_000)} (${body.length} bytes)`

/** What differs between two lists of answers; undefined: nothing. */
export function difference(expected: readonly Said[], found: readonly Said[], without: readonly string[]): string | undefined {
  if (expected.length !== found.length) return `${found.length} answers, not ${expected.length}`
  for (const [index, each] of expected.entries()) {
    const other = found[index]
    if (other === undefined || shown(each, without) !== shown(other, without) || !each.body.equals(other.body)) {
      return `answer ${index + 1} is\n${other === undefined ? '' : shown(other, without)}\nand not\n${shown(each, without)}`
    }
  }
  return undefined
}

/** What a server says to all of these bytes at once, against what it says to them in pieces, for each way to cut them. */
export async function splitDifferences(server: Server, requests: readonly Request[], cuts: readonly (readonly number[])[]): Promise<string[]> {
  const whole = Buffer.concat(requests.map((request) => written(request)))
  const expected = await ask(server, [whole], requests)
  const found = await Promise.all(cuts.map(async (places) => difference(expected, await ask(server, cutAt(whole, places), requests, 0), VOLATILE)))
  return found.flatMap((each, index) => (each === undefined ? [] : [`cut at ${cuts[index]?.join() ?? ''}: ${each}`]))
}

const from = (start: number, count: number): number[] => Array.from({ length: count }, (_, index) => start + index)
const first = async (found: Promise<readonly string[]>): Promise<string | undefined> => (await found)[0]

/** The same question, asked in other ways. */
export const SAMENESS: Readonly<Record<string, SamenessKind>> = {
  'in two pieces': (server, request, random) => first(splitDifferences(server, [request], [somePlaces(written(request).length, 1, random)])),
  'letter by letter': (server, request, random) => first(splitDifferences(server, [request], [from(random.below(written(request).length), 40)])),
  'two in any pieces': (server, request, random, next) =>
    first(splitDifferences(server, [request, next()], [somePlaces(written(request).length * 2, 1 + random.below(4), random)])),
  'many on a connection': async (server, request, random, next) => {
    const requests = [request, ...Array.from({ length: 1 + random.below(4) }, next)]
    const alone: Said[] = []
    for (const each of requests) alone.push(...(await ask(server, [written(each)], [each])))
    const together = Buffer.concat(requests.map((each) => written(each)))
    return difference(alone, await ask(server, cutAt(together, somePlaces(together.length, random.below(3), random)), requests, 1), OF_CONNECTION)
  },
  'in other words': async (server, request, random) => {
    const plain = await ask(server, [written(request)], [request])
    const line = `${request.method} ${targetOf(request)} HTTP/1.1`
    const odd = { ...request, headers: request.headers.map(([key, value]): [string, string] => [random.pick([key.toLowerCase(), key.toUpperCase()]), random.pick([` ${value}`, `${value}\t `])]) }
    const [other, options] = random.pick<[Request, Parameters<typeof written>[1]]>([
      [odd, {}], [request, { more: ['Content-Length: 0'].slice(request.body === undefined ? 0 : 1) }], [request, { more: ['X-Other: words'] }], [request, { more: ['Connection: keep-alive'] }], [request, { more: ['Connection: close'] }],
      [request, { line: `\r\n${line}` }], [request, { line: line.replace(' ', ' http://elsewhere') }], [request, { line: line.replace('HTTP/1.1', 'HTTP/1.0'), host: [] }], [request, { host: ['hOST:\tother'] }],
      [request, { more: ['Cookie: a=b', 'Accept: */*', 'Accept-Encoding: gzip', 'User-Agent: docker/99'] }], [request, { more: ['Expect: x'] }],
    ])
    return difference(plain, await ask(server, [written(other, options)], [other]), OF_CONNECTION)
  },
}
