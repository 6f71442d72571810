import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const hash = promisify(argon2)

/** OWASP's second choice of parameters: 19 MiB, two passes, one lane. */
const MEMORY_KIB = 19_456
const PASSES = 2
const HASH_BYTES = 32

async function argon2id(password: string, salt: Buffer, memory: number, passes: number): Promise<Buffer> {
  return hash('argon2id', {
    message: Buffer.from(password.normalize('NFKC')),
    nonce: salt,
    parallelism: 1,
    tagLength: HASH_BYTES,
    memory,
    passes,
  })
}

/** A verifier that names its scheme and parameters, so that they can be raised later: `$argon2id$v=19$m=…,t=…,p=1$<salt>$<hash>`. */
export async function makeVerifier(password: string): Promise<string> {
  const salt = randomBytes(16)
  const made = await argon2id(password, salt, MEMORY_KIB, PASSES)
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${salt.toString('base64url')}$${made.toString('base64url')}`
}

export async function verifyPassword(verifier: string, password: string): Promise<boolean> {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([\w-]+)\$([\w-]+)$/.exec(verifier)
  if (match === null) throw new Error('a verifier of an unknown scheme')
  const [, memory = '', passes = '', salt = '', expected = ''] = match
  const made = await argon2id(password, Buffer.from(salt, 'base64url'), Number(memory), Number(passes))
  return timingSafeEqual(made, Buffer.from(expected, 'base64url'))
}
