import { parseDigest } from '../../src/oci/digest.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { seeded } from './random.ts'

export type Lots = ReturnType<typeof lots>

/** What a history draws lots for. */
export function lots(seed: number) {
  const { below } = seeded(seed)
  const hex = (words: number): string => Array.from({ length: words }, () => below(2 ** 32).toString(16).padStart(8, '0')).join('')
  return {
    below,
    /** True in so many of all cases. */
    chance: (share: number): boolean => below(2 ** 32) < share * 2 ** 32,
    pick: <T>(from: readonly T[]): T | undefined => from[below(Math.max(1, from.length))],
    uuid(): string {
      const text = hex(4)
      return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-8${text.slice(17, 20)}-${text.slice(20)}`
    },
    /** The digest of bytes that nobody has. */
    digest(): Digest {
      const digest = parseDigest(`sha256:${hex(8)}`)
      if (digest === undefined) throw new Error('64 hexadecimal digits make a digest')
      return digest
    },
  }
}
