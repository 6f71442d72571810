/** Where an event went that was stored lately. */
export type Place = { readonly stream: string; readonly revision: bigint }

/** The ids of the events that were stored last, as many as the real server remembers in 8 MiB. A start forgets them, as there. */
export type RecentIds = {
  find(id: string): Place | undefined
  add(id: string, place: Place): void
}

const KEPT = 100_000

export function createRecentIds(): RecentIds {
  const places = new Map<string, Place>()
  return {
    find: (id) => places.get(id),
    add(id, place) {
      places.delete(id)
      places.set(id, place)
      if (places.size <= KEPT) return
      const [oldest] = places.keys()
      if (oldest !== undefined) places.delete(oldest)
    },
  }
}
