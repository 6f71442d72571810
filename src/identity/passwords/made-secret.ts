import { randomInt } from 'node:crypto'
import { passwordFaults } from './policy.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** As long as Harbor's; 190 bits. */
const LENGTH = 32

/** A secret for a robot or for the command line, or a first password: letters and digits, as the policy asks of people. */
export function makeSecret(): string {
  for (;;) {
    const secret = Array.from({ length: LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('')
    if (passwordFaults(secret).length === 0) return secret
  }
}
