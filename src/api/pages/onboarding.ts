import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import { clearCookie, readCookie, setCookie } from '../../identity/sessions/cookies.ts'
import { SECRETS } from '../../ports/key-store.ts'
import type { Sealed, Sealer } from '../../ports/key-store.ts'

const LIFETIME_S = 600
/** What browsers take of a cookie, its name and attributes with it, is 4,096 bytes. */
const MAX_SEALED = 3_800

/** `purpose` tells it from whatever else is sealed under the same key. */
const NewPerson = Type.Object({
  purpose: Type.Literal('onboarding'),
  /** Milliseconds since 1970. */
  until: Type.Number(),
  external: Type.String(),
  suggested: Type.String(),
  email: Type.Optional(Type.String()),
  realName: Type.Optional(Type.String()),
  returnTo: Type.String(),
})
const isNewPerson = new Ajv().compile(NewPerson)

/** Whom the provider vouched for, while they choose a name. */
export type NewPerson = Omit<Static<typeof NewPerson>, 'purpose' | 'until'>

/** Keeps what the provider said of a person in their browser, which can neither read nor change it. */
export function createOnboarding(options: { readonly sealer: Sealer; readonly secure: boolean; readonly now: () => Date }) {
  const { sealer, secure, now } = options
  const cookie = { name: 'onboarding', secure }

  return {
    /** The `Set-Cookie` of it. */
    async keep(person: NewPerson): Promise<string> {
      const seal = (kept: NewPerson) => sealer.seal(SECRETS, JSON.stringify({ ...kept, purpose: 'onboarding', until: now().getTime() + LIFETIME_S * 1_000 }))
      const whole = await seal(person)
      return setCookie(cookie, whole.length <= MAX_SEALED ? whole : await seal({ ...person, returnTo: '/' }), LIFETIME_S)
    },

    /** Undefined where there is none, or it is too old. */
    async find(cookieHeader: string | undefined): Promise<NewPerson | undefined> {
      const text = readCookie(cookie, cookieHeader)
      // What the browser sent may be anything: what does not open is none.
      const clear = text === undefined ? undefined : await sealer.open(text as Sealed).catch(() => undefined)
      const kept: unknown = clear === undefined ? undefined : jsonOf(clear)
      return isNewPerson(kept) && kept.until > now().getTime() ? kept : undefined
    },

    clear: (): string => clearCookie(cookie),
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
