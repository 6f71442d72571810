import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { OCI_INDEX, imageManifest, registryClient, sha256 } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { wireClient } from '../../support/wire.ts'

let server: VarveServer
let wire: ReturnType<typeof wireClient>

const CONFIG = { digest: sha256(Buffer.from('{}')), size: 2 }
const TAGS = ['-'.padStart(2, '_'), '0', '1.0', '1.0.0', '10', 'A', 'Z', '_', 'a', 'a.b', 'aa', 'latest', 'v'.repeat(128)].toSorted()
const SUBJECT = sha256(Buffer.from('a subject that is not here'))
let referrers: { digest: string; artifactType: string }[]

beforeAll(async () => {
  server = await startVarve()
  wire = wireClient(server)
  const client = registryClient(server)
  const { digest, bytes } = await client.pushManifest('p/app', 'latest', imageManifest(CONFIG, []))
  expect(await wire.asked('PUT', `/v2/p/app/manifests/${digest}?${TAGS.map((tag) => `tag=${tag}`).join('&')}`, { body: bytes })).toBe('201')
  for (const name of ['app', 'p/a/b', 'p/a-b', 'p/app2', 'p-q/app', 'p0/app']) await client.pushManifest(name, 'v1', imageManifest(CONFIG, []))
  referrers = []
  for (let index = 0; index < 7; index += 1) {
    const artifactType = index % 2 === 0 ? 'application/x.signature' : 'application/x.sbom+json'
    const subject = { mediaType: OCI_INDEX, digest: SUBJECT, size: 1 }
    const pushed = await client.pushManifest('p/app', `r${index}`, imageManifest(CONFIG, [], { artifactType, subject, annotations: { index: String(index) } }))
    await wire.asked('DELETE', `/v2/p/app/manifests/r${index}`)
    referrers.push({ digest: pushed.digest, artifactType })
  }
  referrers.sort((a, b) => (a.digest < b.digest ? -1 : 1))
})

afterAll(() => {
  wire.close()
})

/** Follows `Link` from a path on, and answers the pages. */
const pages = async (path: string): Promise<unknown[]> => {
  const found: unknown[] = []
  for (let next: string | undefined = path; next !== undefined; ) {
    const { status, headers, body } = await wire.sound('GET', next)
    expect(status).toBe(200)
    found.push(JSON.parse(body.toString()))
    next = /^<([^>]+)>; rel="next"$/.exec(String(headers['link'] ?? ''))?.[1]
    if (headers['link'] !== undefined) expect(next).toBeDefined()
    if (found.length > 100) throw new Error(`${path} has no end`)
  }
  return found
}
const one = async (path: string): Promise<unknown> => JSON.parse((await wire.sound('GET', path)).body.toString())

describe('tags', () => {
  const PATH = '/v2/p/app/tags/list'

  test('in the order of their bytes, in pages of any size', async () => {
    expect(await pages(PATH)).toEqual([{ name: 'p/app', tags: TAGS }])
    for (const n of [1, 2, 5, TAGS.length - 1]) {
      const found = await pages(`${PATH}?n=${n}`)
      expect(found).toHaveLength(Math.ceil(TAGS.length / n))
      expect(found.flatMap((page) => (page as { tags: string[] }).tags)).toEqual(TAGS)
    }
    for (const n of [TAGS.length, TAGS.length + 1, 999_999, '9'.repeat(30), '007'.padStart(9, '0') + '0']) expect(await pages(`${PATH}?n=${n}`)).toHaveLength(1)
  })

  test('none for n=0, without a next page', async () => {
    expect(await pages(`${PATH}?n=0`)).toEqual([{ name: 'p/app', tags: [] }])
    expect(await pages(`${PATH}?n=0&last=a`)).toEqual([{ name: 'p/app', tags: [] }])
  })

  test.each(['', '-1', '1.5', 'x', '1x', '%00', '0x10', '1e3', '%20', '+1', '%D9%A3'])('n=%s is no number', async (n) => {
    expect(await wire.asked('GET', `${PATH}?n=${n}`)).toBe('400 UNSUPPORTED')
    expect(await wire.asked('GET', `/v2/_catalog?n=${n}`)).toBe('400 UNSUPPORTED')
    expect(await wire.asked('GET', `/v2/p/app/referrers/${SUBJECT}?n=${n}`)).toBe('400 UNSUPPORTED')
    expect(await wire.asked('HEAD', `${PATH}?n=${n}`)).toBe('400')
  })

  test.each(['a', 'a.', 'a%00', 'a%00zzz', '%00', 'zzz', 'not%20a%20tag', '%F0%9F%90%B3', '%ED%A0%80', '%FF', '%zz', "a'", 'a"%5C', '%', '&', 'a'.repeat(5_000), '<>;rel', '..%2F'])(
    'after last=%s, which need be none',
    async (last) => {
      const text = (new URLSearchParams(`last=${last}`).get('last') ?? '').split('\u0000')[0] ?? ''
      expect(await one(`${PATH}?last=${last}`)).toEqual({ name: 'p/app', tags: TAGS.filter((tag) => tag > text) })
    },
  )

  test('a HEAD says as much', async () => {
    const [head, get] = [await wire.sound('HEAD', PATH), await wire.sound('GET', PATH)]
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': get.headers['content-length'] } })
  })
})

describe('the catalogue', () => {
  const NAMES = ['library/app', 'p/a-b', 'p/a/b', 'p/app', 'p/app2', 'p-q/app', 'p0/app']

  test('in pages of any size', async () => {
    expect(await pages('/v2/_catalog')).toEqual([{ repositories: NAMES }])
    for (const n of [1, 2, 3]) {
      expect((await pages(`/v2/_catalog?n=${n}`)).flatMap((page) => (page as { repositories: string[] }).repositories)).toEqual(NAMES)
    }
    expect(await pages('/v2/_catalog?n=0')).toEqual([{ repositories: [] }])
  })

  test.each(['', '%00', 'p%00/app', 'p/app%00', '//', '%F0%9F%90%B3/%F0%9F%90%B3', '%FF', '/', "'", 'a'.repeat(5_000)])('after last=%s', async (last) => {
    expect(await wire.asked('GET', `/v2/_catalog?last=${last}`)).toBe('200')
  })

  test('without a repository that holds nothing any more', async () => {
    const client = registryClient(server)
    const { digest } = await client.pushManifest('p/gone', 'v1', imageManifest(CONFIG, []))
    expect(JSON.stringify(await one('/v2/_catalog'))).toContain('p/gone')
    await wire.asked('DELETE', `/v2/p/gone/manifests/${digest}`)
    expect(JSON.stringify(await one('/v2/_catalog'))).not.toContain('p/gone')
    expect(await one('/v2/p/gone/tags/list')).toEqual({ name: 'p/gone', tags: [] })
  })
})

describe('referrers', () => {
  const PATH = `/v2/p/app/referrers/${SUBJECT}`
  type Page = { readonly manifests: readonly { readonly digest: string; readonly artifactType: string }[] }
  const digests = (found: unknown[]): string[] => found.flatMap((page) => (page as Page).manifests.map(({ digest }) => digest))

  test('in pages, with what each is', async () => {
    const answer = await wire.sound('GET', PATH)
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': OCI_INDEX } })
    expect(answer.headers['oci-filters-applied']).toBeUndefined()
    const [page] = (await pages(PATH)) as Page[]
    expect(page).toMatchObject({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: referrers })
    expect(page?.manifests[0]).toEqual({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      size: expect.any(Number),
      annotations: { index: expect.any(String) },
      ...referrers[0],
    })
    for (const n of [1, 2, 6]) expect(digests(await pages(`${PATH}?n=${n}`))).toEqual(referrers.map(({ digest }) => digest))
    expect(digests(await pages(`${PATH}?n=0`))).toEqual([])
  })

  test('of one type, which the answer says, in pages as well', async () => {
    const wanted = referrers.filter(({ artifactType }) => artifactType === 'application/x.sbom+json').map(({ digest }) => digest)
    const path = `${PATH}?artifactType=${encodeURIComponent('application/x.sbom+json')}`
    expect((await wire.sound('GET', path)).headers['oci-filters-applied']).toBe('artifactType')
    for (const n of ['', '&n=1', '&n=2']) expect(digests(await pages(path + n))).toEqual(wanted)
    for (const none of ['application/x.none', '%00', 'application/x.sbom%2Bjson%00', '%FF', '', "'"]) {
      expect(digests(await pages(`${PATH}?artifactType=${none}`))).toEqual([])
    }
  })

  test.each(['%00', 'sha256:', 'z', '%F0%9F%90%B3', 'a'.repeat(5_000)])('after last=%s', async (last) => {
    expect(await wire.asked('GET', `${PATH}?last=${last}`)).toBe('200')
  })

  test('of what nobody names are none', async () => {
    for (const name of ['p/app', 'p/nothing', 'nowhere/app']) {
      expect(await one(`/v2/${name}/referrers/${CONFIG.digest}`)).toEqual({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })
    }
  })
})

test('nothing of all that was an error of the server', () => {
  expect(server.output().split('\n').filter((line) => /"level":"(error|warn)"|unhandled/i.test(line))).toEqual([])
})
