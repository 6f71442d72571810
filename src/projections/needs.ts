import { LRUCache } from 'lru-cache'
import type { Manifest } from '../oci/manifest.ts'
import type { SubjectForgotten } from '../commands/user/events.ts'
import type { Event, FactOf, Recorded } from '../ports/event.ts'
import type { Sealed } from '../ports/key-store.ts'
import type { FoldContext, PrivatePart, Projection, Reads } from './projection.ts'

const MAX_REMEMBERED = 5_000
/** Another process may have forgotten somebody whose event is still to come. */
const REMEMBERED_MS = 60_000
const MANIFESTS_AT_ONCE = 16

/** Reads what the projections need for a few events at once, and opens each sealed part once in a while: a caller's stands in many events. */
export function createReader(reads: Reads, projections: readonly Projection[]) {
  const remembered = new LRUCache<Sealed, { readonly part: PrivatePart | undefined }>({ max: MAX_REMEMBERED, ttl: REMEMBERED_MS })

  async function openAll(sealed: ReadonlySet<Sealed>): Promise<Map<Sealed, PrivatePart | undefined>> {
    const opened = new Map<Sealed, PrivatePart | undefined>()
    for (const each of sealed) {
      let known = remembered.get(each)
      if (known === undefined) {
        known = { part: await reads.openPrivate(each) }
        remembered.set(each, known)
      }
      opened.set(each, known.part)
    }
    return opened
  }

  return {
    async readFor(events: readonly Recorded[]): Promise<{ readonly manifestFor: (recorded: Recorded) => Manifest | undefined; readonly opened: FoldContext['opened'] }> {
      const sealed = new Set<Sealed>()
      const wanted: (() => Promise<void>)[] = []
      const manifests = new Map<Recorded, Manifest | undefined>()
      for (const recorded of events) {
        if (isForgetting(recorded.event)) {
          const { user, shared = [] } = recorded.event.data
          for (const subject of [user, ...shared]) await reads.forgotten(subject)
          remembered.clear()
        }
        for (const projection of projections) {
          const needs = projection.needs(recorded.event)
          for (const each of needs.sealed ?? []) sealed.add(each)
          const { manifest } = needs
          if (manifest === undefined) continue
          wanted.push(async () => {
            manifests.set(recorded, await reads.manifest(manifest.digest, manifest.mediaType))
          })
        }
      }
      for (let from = 0; from < wanted.length; from += MANIFESTS_AT_ONCE) {
        await Promise.all(wanted.slice(from, from + MANIFESTS_AT_ONCE).map((read) => read()))
      }
      const parts = await openAll(sealed)
      return {
        manifestFor: (recorded) => manifests.get(recorded),
        opened: (each) => (each === undefined ? undefined : parts.get(each)),
      }
    },
  }
}

function isForgetting(event: Event): event is Event<FactOf<typeof SubjectForgotten>> {
  return event.type === 'SubjectForgotten'
}
