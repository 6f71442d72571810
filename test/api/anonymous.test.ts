import { describe, expect, it } from '@jest/globals'
import { createAnonymous } from '../../src/api/anonymous.ts'

const registry = '11111111-1111-4111-8111-111111111111'
const november = (): Date => new Date('2026-11-30T23:59:59.999Z')
const idsOf = (of: (address: string) => { readonly id: string }, addresses: readonly string[]): string[] => addresses.map((address) => of(address).id)
/** Neighbours, as the ones who call a registry often are. */
const addresses = [
  ...Array.from({ length: 8_192 }, (_, at) => `10.1.${at >> 8}.${at & 255}`),
  ...Array.from({ length: 8_192 }, (_, at) => `2001:db8::${at.toString(16)}`),
]

describe('callers without a login', () => {
  it('share 256 subjects in a month, none of which has many more of them than another', () => {
    const counts = Map.groupBy(idsOf(createAnonymous(registry, november), addresses), (id) => id)
    expect(counts.size).toBe(256)
    const sizes = [...counts.values()].map(({ length }) => length)
    expect(Math.min(...sizes)).toBeGreaterThan(32)
    expect(Math.max(...sizes)).toBeLessThan(128)
    for (const id of counts.keys()) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('are the same for one process and another, whichever address either saw first', () => {
    const [one, another] = [createAnonymous(registry, november), createAnonymous(registry, november)]
    const ids = idsOf(one, addresses)
    expect(idsOf(another, addresses.toReversed()).toReversed()).toEqual(ids)
    expect(idsOf(one, addresses)).toEqual(ids)
  })

  it('are others in another month, and of another registry', () => {
    let time = november()
    const anonymous = createAnonymous(registry, () => time)
    const [ofNovember, ofAnother] = [anonymous('203.0.113.1'), createAnonymous(registry.replaceAll('1', '2'), november)('203.0.113.1')]
    expect(ofAnother.id).not.toBe(ofNovember.id)
    time = new Date('2026-12-01T00:00:00.000Z')
    expect(anonymous('203.0.113.1').id).not.toBe(ofNovember.id)
    time = november()
    expect(anonymous('203.0.113.1')).toEqual(ofNovember)
  })
})
