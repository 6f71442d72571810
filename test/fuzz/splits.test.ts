import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { written } from './conversation.ts'
import type { Request } from './requests.ts'
import { splitDifferences } from './sameness.ts'
import { settle } from './world.ts'

/** So few that the server reads each piece before the next comes. */
const AT_ONCE = 16

let server: VarveServer
let tag: Request
let digest: Request
let blob: Request
let base: Request

beforeAll(async () => {
  server = await startVarve()
  const { kept, authorization } = await settle(server, '')
  const get = (path: string): Request => ({ method: 'GET', path, query: [], headers: [['Authorization', authorization]], body: undefined })
  tag = get(kept[0] ?? '')
  digest = get(kept[1] ?? '')
  blob = get(kept[2] ?? '')
  base = get('/v2/')
})
afterAll(() => server.stop())

const and = (request: Request, ...headers: readonly (readonly [string, string])[]): Request => ({ ...request, headers: [...request.headers, ...headers] })

test.each<[string, () => readonly Request[]]>([
  ['a manifest by tag', () => [and(tag, ['Accept', '*/*'], ['User-Agent', 'docker/99'])]],
  ['a manifest by digest, and the connection closes', () => [and(digest, ['Connection', 'close'])]],
  ['the head of a manifest', () => [{ ...tag, method: 'HEAD' }]],
  ['a blob', () => [blob]],
  ['a part of a blob', () => [and(blob, ['Range', 'bytes=5-9'])]],
  ['a manifest that the client has', () => [and(tag, ['If-None-Match', `"${digest.path.split('/').at(-1) ?? ''}"`])]],
  ['a manifest for nobody', () => [{ ...tag, headers: [] }]],
  ['two manifests', () => [tag, digest]],
  ['a manifest and what is no pull', () => [tag, base]],
  ['what is no pull and a manifest', () => [base, tag]],
  ['a pull with a body and another', () => [{ ...tag, body: Buffer.from('GET / HTTP/1.1\r\n\r\n') }, blob]],
])('%s is answered the same wherever its bytes are cut', async (_, make) => {
  const requests = make()
  const { length } = Buffer.concat(requests.map((request) => written(request)))
  const all = Array.from({ length: length - 1 }, (_place, index) => index + 1)
  const cuts = [all, ...all.map((place) => [place])]
  for (let index = 0; index < cuts.length; index += AT_ONCE) expect(await splitDifferences(server, requests, cuts.slice(index, index + AT_ONCE))).toEqual([])
})
