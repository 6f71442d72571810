/** Why somebody was not let in: `reason` for records and programs, `message` for people. Neither holds what the caller sent. */
export type Refusal<Reason extends string> = { readonly kind: 'refusal'; readonly reason: Reason; readonly message: string }

export function refusal<Reason extends string>(reason: Reason, message: string): Refusal<Reason> {
  return { kind: 'refusal', reason, message }
}
