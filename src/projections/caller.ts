import type { Column, PrivatePart, Row } from './projection.ts'

/** Who did it and by which request. What is personal is a number: it stands in clear once, where it can be blanked. */
export const callerColumns = {
  subject: { numbered: 'subjects' },
  name: { numbered: 'names' },
  address: { numbered: 'addresses' },
  agent: { numbered: 'agents' },
  request: 'text',
} as const satisfies Record<string, Column>

/** `opened` is what the actor's sealed part says, undefined where there is none or the person was forgotten. */
export function callerRow(kind: string, subject: string, opened: PrivatePart | undefined, request: string | undefined): Row {
  return {
    subject: `${kind}:${subject}`,
    name: opened?.name ?? null,
    address: opened?.address ?? null,
    agent: opened?.userAgent ?? null,
    request: request ?? null,
  }
}
