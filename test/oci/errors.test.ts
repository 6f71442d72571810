import { describe, expect, it } from '@jest/globals'
import { isRefusal, ociErrors, refusal } from '../../src/oci/errors.ts'

describe('refusals', () => {
  it('know the fourteen codes of the specification, and one more', () => {
    expect(Object.entries(ociErrors).map(([code, { status }]) => `${code} ${status}`)).toEqual([
      'BLOB_UNKNOWN 404',
      'BLOB_UPLOAD_INVALID 400',
      'BLOB_UPLOAD_UNKNOWN 404',
      'DIGEST_INVALID 400',
      'MANIFEST_BLOB_UNKNOWN 404',
      'MANIFEST_INVALID 400',
      'MANIFEST_UNKNOWN 404',
      'NAME_INVALID 400',
      'NAME_UNKNOWN 404',
      'SIZE_INVALID 400',
      'UNAUTHORIZED 401',
      'DENIED 403',
      'UNSUPPORTED 405',
      'TOOMANYREQUESTS 429',
      'UNAVAILABLE 503',
    ])
  })

  it('carry the table’s message or their own, and a status only where it is another', () => {
    expect(refusal('NAME_UNKNOWN')).toEqual({ refused: true, code: 'NAME_UNKNOWN', message: ociErrors.NAME_UNKNOWN.message })
    expect(refusal('SIZE_INVALID', 'too large', { status: 413, detail: { limit: 1 } })).toEqual({
      refused: true, code: 'SIZE_INVALID', message: 'too large', status: 413, detail: { limit: 1 },
    })
  })

  it('are told from anything else', () => {
    expect(isRefusal(refusal('DENIED'))).toBe(true)
    for (const value of [undefined, null, 'refused', {}, { refused: false }, []]) expect(isRefusal(value)).toBe(false)
  })
})
