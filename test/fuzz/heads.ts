import { written } from './conversation.ts'
import { targetOf } from './requests.ts'
import type { Request } from './requests.ts'
import type { RawKind, Script } from './script.ts'

const answered = (request: Request, options: Parameters<typeof written>[1]): Script => ({ pieces: [written(request, options)], requests: [request] })
const refused = (request: Request, options: Parameters<typeof written>[1]): Script => ({ pieces: [written({ ...request, body: undefined }, options)], requests: [request], owed: 0, broken: 'surely' })

/** Heads that are written in unusual ways: some must be taken, and some refused. */
export const HEADS: Readonly<Record<string, RawKind>> = {
  'an unusual first line': (request, random) => {
    const target = targetOf(request)
    return answered(request, { line: random.pick([
      `\r\n\r\n${request.method} ${target} HTTP/1.1`, `${request.method} http://x${target} HTTP/1.1`, `${request.method} HTTP://u:p@other:1${target} HTTP/1.1`,
    ]) })
  },
  'HTTP/1.0': (request, random) => answered(request, { line: `${request.method} ${targetOf(request)} HTTP/1.0`, host: random.pick([[], ['Host: x']]), more: random.pick([[], ['Connection: keep-alive']]) }),
  'a broken first line': (request, random) => {
    const { method } = request
    const target = targetOf(request)
    return refused(request, { line: random.pick([
      `${method.toLowerCase()} ${target} HTTP/1.1`, `${method}\t${target} HTTP/1.1`, `${method} ${target}\tHTTP/1.1`, `${method} ${target} HTTP/1.2`, `${method} ${target} HTTP/2.0`, `${method} ${target} HTTP/0.9`, `${method} ${target} http/1.1`, `${method} ${target} HTTP/1.1 x`,
      `${method} ${target}`, method, `BREW ${target} HTTP/1.1`, `${method}${target} HTTP/1.1`, `${method} ${target}\u0000 HTTP/1.1`, `${method} ${target} HTTP/11`, ` ${method} ${target} HTTP/1.1`, `${method} ${target}\u00e9 HTTP/1.1`, `${method} HTTP/1.1`,
    ]) })
  },
  'CONNECT': (request, random) => refused(request, { line: `CONNECT ${random.pick(['x:443', 'http://x/', request.path])} HTTP/1.1` }),
  'no Host, or two': (request, random) => refused(request, { host: random.pick([[], ['Host: x', 'Host: x'], ['Host: x', 'host: y'], ['X: Host: x']]) }),
  'an unusual Host': (request, random) => answered(request, { host: [random.pick(['Host:', 'HOST: x', 'host:x', 'Host: [::1]:80', 'Host:\t x \t', `Host: ${'x'.repeat(5_000)}`])] }),
  'ways to keep a connection': (request, random) => answered(request, { more: random.pick([
    ['Connection: close'], ['Connection: keep-alive'], ['Connection: Keep-Alive, close'], ['connection:CLOSE'], ['Connection: x'], ['Connection: close', 'Connection: keep-alive'], ['Connection:'],
    ['Connection: Upgrade', 'Upgrade: websocket'], ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'], ['Keep-Alive: timeout=1'], ['Proxy-Connection: keep-alive'], ['TE: trailers', 'Connection: TE'],
  ]) }),
  'expectations': (request, random) => answered(request, { more: [`Expect: ${random.pick(['100-continue', '100-Continue', 'x', '', '100-continue, x'])}`] }),
  'headers that come twice': (request, random) => answered(request, { more: random.pick([
    ['Authorization: Basic x'], ['Range: bytes=0-0', 'Range: bytes=1-1'], ['If-None-Match: "x"', 'If-None-Match: *'], ['Accept: x', 'Accept: y'], ['User-Agent: x', 'user-agent: y'], ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-For: x'],
    ['If-Range: "x"', 'If-Range: "y"', 'Range: bytes=0-0'], ['Cookie: a', 'Cookie: b'],
  ]) }),
  'odd spaces and letters': (request, random) => {
    const odd = request.headers.map(([key, value]): [string, string] => [random.pick([key.toLowerCase(), key.toUpperCase(), key]), random.pick([`${value}  `, `${value}\t`, ` \t${value}`, value])])
    return answered({ ...request, headers: odd }, { more: random.pick([['X:y'], ['X:  '], ['x-:\t'], ['X: \u00ff']]) })
  },
  'a run of spaces': (request, random) => {
    const run = random.pick([' ', '\t', ' \t']).repeat(random.pick([4_000, 35_000]))
    const name = random.pick(['Forwarded', 'X-Forwarded-For', 'Range', 'If-None-Match', 'User-Agent', 'Accept', 'X'])
    return answered(request, { more: [`${name}:${random.pick(['', 'for=1;', 'bytes=', '"'])}${run}${random.pick(['', 'x', ',', '"'])}`] })
  },
  'ways to say who asks': (request, random, _next, world) => {
    const secret = world.tried.slice('Basic '.length)
    const said = random.pick([`basic ${secret}`, `BASIC ${secret}`, `Basic  ${secret}`, `Basic ${secret}x`, `Basic:${secret}`, secret, `Bearer ${secret}`, world.wide, `${world.wide}x`, world.narrow.replace('Bearer', 'bearer'), `Basic ${secret.slice(0, -4)}`, 'Basic', '', 'y'.repeat(60_000), `Basic ${secret}, Basic ${secret}`])
    return answered({ ...request, headers: [...request.headers.filter(([key]) => key !== 'Authorization'), ['Authorization', said]] }, {})
  },
}
