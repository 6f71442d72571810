import { expect, it } from '@jest/globals'
import { position } from '../../src/ports/position.ts'
import { createVisibility } from '../../src/projections/visibility.ts'

const at = (number: number) => position('thelogid', BigInt(number))

it('says that a position is visible once it was passed, and that it is not where the signal aborts before', async () => {
  const visibility = createVisibility()
  const patient = new AbortController()
  const impatient = new AbortController()
  const waiting = [visibility.visible(at(1), patient.signal), visibility.visible(at(2), patient.signal), visibility.visible(at(2), impatient.signal)]
  impatient.abort()
  visibility.advance(at(2))
  expect(await Promise.all(waiting)).toEqual([true, true, false])
  expect(await visibility.visible(at(2), impatient.signal)).toBe(true)
  expect(await visibility.visible(at(3), impatient.signal)).toBe(false)
})
