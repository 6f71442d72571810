import { UUID } from './generated.ts'
import type { Shared } from './generated.ts'

/** An id that cannot be read as one. */
export class MalformedId extends Error {
  override readonly name = 'MalformedId'
}

const TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** An id as its text in lower case; it comes as text or as two signed numbers of 64 bits. */
export function readId(id: Shared.UUID | undefined): string {
  const structured = id?.getStructured()
  const text = structured === undefined ? (id?.getString() ?? '').toLowerCase() : fromHalves(structured)
  if (!TEXT.test(text)) throw new MalformedId('Unrecognized Guid format.')
  return text
}

function fromHalves(halves: Shared.UUID.Structured): string {
  const digits = [halves.getMostSignificantBits(), halves.getLeastSignificantBits()]
    .map((half) => BigInt.asUintN(64, BigInt(half)).toString(16).padStart(16, '0'))
    .join('')
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join('-')
}

export function idMessage(text: string): Shared.UUID {
  const id = new UUID()
  id.setString(text)
  return id
}
