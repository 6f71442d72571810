export type PasswordFault = 'too-short' | 'too-long' | 'no-upper-case' | 'no-lower-case' | 'no-digit'

const SHORTEST = 8
const LONGEST = 128
/** NFKC makes up to 18 characters of one, so what is far too long is not normalised. */
const LONGEST_TYPED = 1024

const WORDS: Readonly<Record<PasswordFault, string>> = {
  'too-short': `is shorter than ${SHORTEST} characters`,
  'too-long': `is longer than ${LONGEST} characters`,
  'no-upper-case': 'has no upper-case letter',
  'no-lower-case': 'has no lower-case letter',
  'no-digit': 'has no digit',
}

/**
 * What is wrong with a password that a person chooses: Harbor's rules, in every script that has cases. Lengths are in characters after
 * NFKC.
 */
export function passwordFaults(password: string): PasswordFault[] {
  if (password.length > LONGEST_TYPED) return ['too-long']
  const normal = password.normalize('NFKC')
  const length = Array.from(normal).length
  const faults: PasswordFault[] = []
  if (length < SHORTEST) faults.push('too-short')
  if (length > LONGEST) faults.push('too-long')
  if (!/\p{Lu}/u.test(normal)) faults.push('no-upper-case')
  if (!/\p{Ll}/u.test(normal)) faults.push('no-lower-case')
  if (!/\p{Nd}/u.test(normal)) faults.push('no-digit')
  return faults
}

/** What is wrong, as words that follow what the password is called: `is shorter than 8 characters, has no digit`. */
export function faultWords(faults: readonly PasswordFault[]): string {
  return faults.map((fault) => WORDS[fault]).join(', ')
}
