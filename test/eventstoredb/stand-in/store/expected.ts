/** What an append expects of its stream. A stream that does not exist stands at revision -1. */
export type Expected = { readonly kind: 'any' } | { readonly kind: 'exists' } | { readonly kind: 'revision'; readonly revision: bigint }

export const NO_STREAM = -1n

/** As a number, as the server's messages tell it. */
export function expectedNumber(expected: Expected): bigint {
  if (expected.kind === 'any') return -2n
  if (expected.kind === 'exists') return -4n
  return expected.revision
}
