import { laneOf } from '../../../ports/streams.ts'
import type { Lane } from '../../../ports/streams.ts'

/** What stands before each stream's name on the server, so that a lane is a prefix, and several registries may share a server. */
export type Names = ReturnType<typeof createNames>

/** A tampered stream is told of by events of its metadata stream, whose name is the stream's with this before it. */
const METADATA = '$$'

/** `space`: letters, digits and dashes. It holds no dot, so no space's prefix begins another's. */
export function createNames(space: string) {
  const prefixes: Readonly<Record<Lane, string>> = { state: `${space}.s.`, activity: `${space}.a.` }
  const ours = (name: string): string | undefined => {
    const prefix = Object.values(prefixes).find((each) => name.startsWith(each))
    return prefix === undefined ? undefined : name.slice(prefix.length)
  }
  return {
    /** The name that a stream has on the server. */
    onServer: (stream: string): string => `${prefixes[laneOf(stream)]}${stream}`,
    /** The stream that a name on the server stands for, or undefined where it is none of this space. */
    ofServer: ours,
    /** The stream whose metadata stream this is, or undefined. */
    ofMetadata: (name: string): string | undefined => (name.startsWith(METADATA) ? ours(name.slice(METADATA.length)) : undefined),
    metadataOf: (stream: string): string => `${METADATA}${prefixes[laneOf(stream)]}${stream}`,
    /** The beginnings of the names that lanes have, and of their metadata. */
    prefixesOf: (lanes: readonly Lane[]): string[] => lanes.flatMap((lane) => [prefixes[lane], `${METADATA}${prefixes[lane]}`]),
    /** Outside of both lanes: what is written there to ask for the server's time. */
    clock: `${space}.clock`,
  }
}
