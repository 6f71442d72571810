import { hash } from 'node:crypto'
import type { Hash } from 'node:crypto'

/** `<algorithm>:<lower-case hex>`, of an algorithm that this registry stores by. */
export type Digest = string & { readonly __brand: 'Digest' }

/** The registered algorithms of the image specification. */
export type DigestAlgorithm = 'sha256' | 'sha512'

const FORM = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/

/** The one door to a Digest: a registered algorithm, lower-case hex, of the exact length. */
export function parseDigest(text: string): Digest | undefined {
  return FORM.test(text) ? (text as Digest) : undefined
}

export function parseAlgorithm(text: string): DigestAlgorithm | undefined {
  return text === 'sha256' || text === 'sha512' ? text : undefined
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512'
}

export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): Digest {
  return `${algorithm}:${hash(algorithm, bytes, 'hex')}` as Digest
}

/** Ends the hash, which must be one of `algorithm`. */
export function digestFromHash(algorithm: DigestAlgorithm, running: Hash): Digest {
  return `${algorithm}:${running.digest('hex')}` as Digest
}
