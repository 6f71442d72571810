import { describe, expect, it } from '@jest/globals'
import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { decide } from '../../../src/commands/repository/decide.ts'
import type { PushManifest } from '../../../src/commands/repository/decide.ts'
import { BlobDeleted, ManifestDeleted, ManifestPushed, RepositoryCreated, TagAssigned, TagDeleted } from '../../../src/commands/repository/events.ts'
import { evolve } from '../../../src/commands/repository/state.ts'
import type { RepositoryState } from '../../../src/commands/repository/state.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { isRefusal } from '../../../src/oci/errors.ts'
import { OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST } from '../../../src/oci/media-types.ts'
import { parseTag } from '../../../src/oci/names.ts'
import type { Tag } from '../../../src/oci/names.ts'
import type { Fact } from '../../../src/ports/event.ts'
import { MAX_APPEND_BYTES, MAX_EVENT_BYTES } from '../../../src/ports/event-log.ts'
import { eventOf } from '../../storage/events/contract.ts'
import { specification } from '../../support/specification.ts'

const digest = (text: string): Digest => digestOf('sha256', Buffer.from(text))

function tag(text: string): Tag {
  const parsed = parseTag(text)
  if (parsed === undefined) throw new Error(`${text} is no tag`)
  return parsed
}

const [v1, latest] = [tag('v1'), tag('latest')]
const [a, b, layer, config] = [digest('a'), digest('b'), digest('layer'), digest('config')]

const nothing: RepositoryState = { revision: -1, exists: false, tags: new Map(), manifests: new Map(), blobs: new Map() }
/** The blobs stand in streams of their own: what is held comes from rows. */
const repository = (blobs: readonly (readonly [Digest, boolean])[] = []) => specification({ initial: { ...nothing, blobs: new Map(blobs) }, evolve, decide })

const push = (what: Partial<PushManifest>): PushManifest => ({
  type: 'PushManifest', digest: a, mediaType: OCI_IMAGE_MANIFEST, sizeBytes: 500, tags: [], references: [a], blobs: [], children: [], sparse: false, ...what,
})
const pushed = (what: Partial<ReturnType<typeof ManifestPushed>['data']>) =>
  ManifestPushed({ digest: a, mediaType: OCI_IMAGE_MANIFEST, size: 500, references: [a], ...what })

describe('a push of a manifest', () => {
  it('creates the repository with the first one', () => {
    repository().given().when(push({ tags: [v1], references: [v1] })).then(RepositoryCreated({}), pushed({ references: [v1] }), TagAssigned({ tag: v1, digest: a }))
  })

  it('creates it once', () => {
    repository().given(RepositoryCreated({}), pushed({})).when(push({ digest: b, references: [b] })).then(pushed({ digest: b, references: [b] }))
  })

  it('moves a tag, and says from where', () => {
    repository()
      .given(RepositoryCreated({}), pushed({ references: [v1] }), TagAssigned({ tag: v1, digest: a }))
      .when(push({ digest: b, tags: [v1], references: [v1] }))
      .then(pushed({ digest: b, references: [v1] }), TagAssigned({ tag: v1, digest: b, replaces: a }))
  })

  it('says where nothing changed', () => {
    repository()
      .given(RepositoryCreated({}), pushed({ references: [v1] }), TagAssigned({ tag: v1, digest: a }))
      .when(push({ tags: [v1], references: [v1] }))
      .then(pushed({ references: [v1], unchanged: true }))
  })

  it('by digest says so too', () => {
    repository().given(RepositoryCreated({}), pushed({})).when(push({})).then(pushed({ unchanged: true }))
  })

  it('with a list of tags assigns those that do not stand there yet, in their order', () => {
    repository()
      .given(RepositoryCreated({}), pushed({ references: [v1] }), TagAssigned({ tag: v1, digest: a }))
      .when(push({ tags: [tag('z'), v1, latest], references: [a, 'z', 'v1', 'latest'] }))
      .then(pushed({ references: [a, 'z', 'v1', 'latest'] }), TagAssigned({ tag: tag('z'), digest: a }), TagAssigned({ tag: latest, digest: a }))
  })

  it('brings a deleted manifest back, which is a change', () => {
    repository().given(RepositoryCreated({}), pushed({}), ManifestDeleted({ digest: a })).when(push({})).then(pushed({}))
  })

  it('assigns a tag anew that was deleted, or ended with its manifest', () => {
    const before = [RepositoryCreated({}), pushed({ references: [v1] }), TagAssigned({ tag: v1, digest: a })] as const
    for (const end of [TagDeleted({ tag: v1, digest: a }), ManifestDeleted({ digest: a })]) {
      repository().given(...before, end).when(push({ tags: [v1], references: [v1] })).then(pushed({ references: [v1] }), TagAssigned({ tag: v1, digest: a }))
    }
  })

  it('keeps its subject, which need not be there', () => {
    repository().given().when(push({ subject: b })).then(RepositoryCreated({}), pushed({ subject: b }))
  })

  it('misses nothing that the repository ever held, also where it was deleted', () => {
    repository([[layer, true], [config, false]]).given().when(push({ blobs: [config, layer] })).then(RepositoryCreated({}), pushed({}))
  })

  it('that is sparse names what was never held', () => {
    repository([[config, true]]).given().when(push({ blobs: [config, layer], sparse: true })).then(RepositoryCreated({}), pushed({ missing: [layer] }))
  })

  it('of an index names children that are not live', () => {
    const child = digest('ended')
    repository()
      .given(RepositoryCreated({}), pushed({}), pushed({ digest: child, references: [child] }), ManifestDeleted({ digest: child }))
      .when(push({ digest: b, mediaType: OCI_IMAGE_INDEX, references: [b], children: [a, child, layer], sparse: true }))
      .then(pushed({ digest: b, mediaType: OCI_IMAGE_INDEX, references: [b], missing: [child, layer] }))
  })

  it('is refused where it is not to be sparse, and says what is missing', () => {
    repository([[config, true]]).given().when(push({ blobs: [config, layer], children: [b] })).thenRefused('MANIFEST_BLOB_UNKNOWN', [{ digest: layer }, { digest: b }])
  })
})

describe('a push at its largest', () => {
  const digests = (count: number): Digest[] => Array.from({ length: count }, (_, index) => digestOf('sha512', Buffer.from(String(index))))

  it('is refused where it misses more than an event can name', () => {
    const missing = digests(1_001)
    repository()
      .given()
      .when(push({ children: missing, sparse: true }))
      .thenRefused('MANIFEST_BLOB_UNKNOWN', missing.slice(0, 100).map((each) => ({ digest: each })))
  })

  it('stays under the bounds of an event and of an append', () => {
    const tags = Array.from({ length: 500 }, (_, index) => tag(`${index}-`.padEnd(128, 'x')))
    const [digest512 = a, ...missing] = digests(1_001)
    const facts = decide(
      { ...nothing, tags: new Map(tags.map((each) => [each, digest512])) },
      push({ digest: digestOf('sha512', Buffer.from('a')), subject: digest512, tags, references: [digest512, ...tags], children: missing, sparse: true }),
    )
    if (isRefusal(facts)) throw new Error('refused')
    // As large as a caller's sealed part comes: a user agent of 256 characters of two bytes, and a long address.
    const sealed = 'x'.repeat(Math.ceil(((45 + 90 + 512) * 4) / 3))
    const codec = createCodec(eventTypes)
    const sizes = facts.map((fact) => codec.encode({ ...eventOf<Fact>(fact), requestId: '22222222-2222-4222-8222-222222222222' }).sizeBytes + sealed.length + 13)
    expect(Math.max(...sizes)).toBeLessThan(MAX_EVENT_BYTES)
    expect(sizes.reduce((sum, each) => sum + each, 0)).toBeLessThan(MAX_APPEND_BYTES)
  })
})

describe('a deletion', () => {
  const there = [RepositoryCreated({}), pushed({ references: [v1] }), TagAssigned({ tag: v1, digest: a })] as const

  it('of a tag takes the tag alone, and says what it pointed at', () => {
    repository().given(...there).when({ type: 'DeleteTag', tag: v1 }).then(TagDeleted({ tag: v1, digest: a }))
  })

  it('of a manifest is one event, whatever tags point at it', () => {
    repository().given(...there, TagAssigned({ tag: latest, digest: a })).when({ type: 'DeleteManifest', digest: a }).then(ManifestDeleted({ digest: a }))
  })

  it('of a blob needs it held', () => {
    repository([[layer, true]]).given().when({ type: 'DeleteBlob', digest: layer }).then(BlobDeleted({ digest: layer }))
  })

  it('of what is not there is refused', () => {
    repository().given().when({ type: 'DeleteTag', tag: v1 }).thenRefused('MANIFEST_UNKNOWN')
    repository().given(...there, TagDeleted({ tag: v1, digest: a })).when({ type: 'DeleteTag', tag: v1 }).thenRefused('MANIFEST_UNKNOWN')
    repository().given(...there, ManifestDeleted({ digest: a })).when({ type: 'DeleteTag', tag: v1 }).thenRefused('MANIFEST_UNKNOWN')
    repository().given().when({ type: 'DeleteManifest', digest: a }).thenRefused('MANIFEST_UNKNOWN')
    repository().given(...there, ManifestDeleted({ digest: a })).when({ type: 'DeleteManifest', digest: a }).thenRefused('MANIFEST_UNKNOWN')
    repository().given().when({ type: 'DeleteBlob', digest: layer }).thenRefused('BLOB_UNKNOWN')
    repository([[layer, true]]).given(BlobDeleted({ digest: layer })).when({ type: 'DeleteBlob', digest: layer }).thenRefused('BLOB_UNKNOWN')
  })

  it('leaves the tags of other manifests', () => {
    repository()
      .given(...there, pushed({ digest: b, references: [latest] }), TagAssigned({ tag: latest, digest: b }), ManifestDeleted({ digest: a }))
      .when({ type: 'DeleteTag', tag: latest })
      .then(TagDeleted({ tag: latest, digest: b }))
  })
})

describe('the state', () => {
  it('counts the revision of every event', () => {
    const facts = [RepositoryCreated({}), pushed({}), TagAssigned({ tag: v1, digest: a }), TagDeleted({ tag: v1, digest: a }), ManifestDeleted({ digest: a }), BlobDeleted({ digest: layer })]
    expect(facts.reduce((state, fact) => evolve(state, eventOf(fact)), nothing).revision).toBe(facts.length - 1)
  })
})
