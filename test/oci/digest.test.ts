import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { algorithmOf, digestFromHash, digestOf, hexOf, parseAlgorithm, parseDigest } from '../../src/oci/digest.ts'

const SHA256 = `sha256:${'0a'.repeat(32)}`
const SHA512 = `sha512:${'0b'.repeat(64)}`

describe('a digest', () => {
  it.each([SHA256, SHA512])('is parsed from %s', (text) => {
    expect(parseDigest(text)).toBe(text)
  })

  it.each([
    ['nothing', ''],
    ['no algorithm', '0a'.repeat(32)],
    ['the conformance suite’s bad one', 'sha256:baddigeststring'],
    ['upper-case hex', SHA256.toUpperCase().replace('SHA', 'sha')],
    ['upper-case algorithm', SHA256.replace('sha', 'SHA')],
    ['one character short', SHA256.slice(0, -1)],
    ['one character long', `${SHA256}0`],
    ['a line end behind it', `${SHA256}\n`],
    ['the length of the other algorithm', `sha512:${'0a'.repeat(32)}`],
    ['an algorithm that is not stored', `sha384:${'0a'.repeat(48)}`],
    ['no hex', `sha256:${'0g'.repeat(32)}`],
  ])('is not parsed from %s', (_, text) => {
    expect(parseDigest(text)).toBeUndefined()
  })

  it('is of the bytes, by either algorithm', () => {
    const empty = digestOf('sha256', Buffer.alloc(0))
    expect(empty).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const digest = digestOf(algorithm, Buffer.from('grüße'))
      expect(parseDigest(digest)).toBe(digest)
      expect(algorithmOf(digest)).toBe(algorithm)
      expect(digest).toBe(`${algorithm}:${hexOf(digest)}`)
      expect(digestFromHash(algorithm, createHash(algorithm).update('grüße'))).toBe(digest)
    }
  })

  it('knows two algorithms', () => {
    expect(['sha256', 'sha512', 'sha384', 'SHA256', ''].map(parseAlgorithm)).toEqual(['sha256', 'sha512', undefined, undefined, undefined])
  })
})
