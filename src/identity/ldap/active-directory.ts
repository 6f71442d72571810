import type { Entry } from 'ldapts'
import { bytesOf, firstOf } from './entry.ts'

/** What an Active Directory says in `supportedCapabilities` of its root (MS-ADTS 3.1.1.3.4.3). */
export const ACTIVE_DIRECTORY = '1.2.840.113556.1.4.800'
/** Matches an entry that is a member of this group, or of one that is, however far down (MS-ADTS 3.1.1.3.4.4.3). */
export const MATCHING_RULE_IN_CHAIN = '1.2.840.113556.1.4.1941'

export const ACCOUNT_ATTRIBUTES = [
  'objectSid',
  'primaryGroupID',
  'userAccountControl',
  'msDS-User-Account-Control-Computed',
  'accountExpires',
] as const

/** Why an account may not log in, whatever the password. */
export type AccountFault = (typeof ACCOUNT_FAULTS)[number]
const ACCOUNT_FAULTS = ['disabled', 'expired', 'locked', 'password-expired'] as const

export function isAccountFault(reason: string): reason is AccountFault {
  return ACCOUNT_FAULTS.some((fault) => fault === reason)
}

/** Flags of userAccountControl and of its computed sister (MS-ADTS 2.2.16, 3.1.1.4.5.17). */
const DISABLED = 0x2
const LOCKED = 0x10
const PASSWORD_EXPIRED = 0x800000

/** Why this account may not log in now, whatever its password. `nowMs` is Unix time. */
export function accountFault(entry: Entry, nowMs: number): AccountFault | undefined {
  const flags = Number(firstOf(entry, 'userAccountControl') ?? 0)
  const computed = Number(firstOf(entry, 'msDS-User-Account-Control-Computed') ?? 0)
  if ((flags & DISABLED) !== 0) return 'disabled'
  if (hasPassed(firstOf(entry, 'accountExpires') ?? '0', nowMs)) return 'expired'
  if ((computed & LOCKED) !== 0) return 'locked'
  return (computed & PASSWORD_EXPIRED) === 0 ? undefined : 'password-expired'
}

/** Of `accountExpires`: tenths of microseconds since 1601; 0 and the highest number are "never" (MS-ADA1 2.2). */
function hasPassed(fileTime: string, nowMs: number): boolean {
  const ticks = /^\d+$/.test(fileTime) ? BigInt(fileTime) : 0n
  if (ticks === 0n || ticks === 0x7fff_ffff_ffff_ffffn) return false
  return ticks / 10_000n - 11_644_473_600_000n <= BigInt(nowMs)
}

/** What a refused bind says beside its code: the Windows error, in hexadecimal, as `data 533`. */
export function accountFaultIn(diagnosis: string): AccountFault | undefined {
  switch (/\bdata ([0-9a-f]+)/i.exec(diagnosis)?.[1]?.toLowerCase() ?? '') {
    case '533':
      return 'disabled'
    case '701':
      return 'expired'
    case '775':
      return 'locked'
    case '532':
    case '773':
      return 'password-expired'
    default:
      return undefined
  }
}

/**
 * The identifier of the account's primary group, which no membership names: the account's own with another last number
 * (MS-DTYP 2.4.2.2: sub-authorities are 32 bits each, least byte first).
 */
export function primaryGroupSid(entry: Entry): Buffer | undefined {
  const own = bytesOf(entry, 'objectSid')
  const group = Number(firstOf(entry, 'primaryGroupID') ?? 0)
  if (own === undefined || own.length < 12 || group === 0) return undefined
  const sid = Buffer.from(own)
  sid.writeUInt32LE(group, sid.length - 4)
  return sid
}
