import { argon2, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

/**
 * A stored verifier names its scheme and parameters, so that they can be raised later:
 * `$argon2id$v=19$m=<KiB>,t=<passes>,p=1$<salt>$<hash>` for what people choose, `$hmac-sha256$<salt>$<hash>` for what a machine made,
 * `$pbkdf2-<sha1 or sha256>$i=4096$<salt>$<hash>` for what comes from Harbor. Salts and hashes are base64url.
 */
export type Verifier =
  | { readonly scheme: 'argon2id'; readonly memoryKib: number; readonly passes: number; readonly salt: Buffer; readonly hash: Buffer }
  | { readonly scheme: 'hmac-sha256'; readonly salt: Buffer; readonly hash: Buffer }
  | { readonly scheme: 'pbkdf2'; readonly digest: 'sha1' | 'sha256'; readonly salt: Buffer; readonly hash: Buffer }

/** OWASP's second choice of parameters: 19 MiB, two passes, one lane. */
const MEMORY_KIB = 19_456
const PASSES = 2
const HASH_BYTES = 32
const SALT_BYTES = 16

/** What Harbor hashes with: goharbor/harbor, src/common/utils/encrypt.go. */
const HARBOR_ITERATIONS = 4096
const HARBOR_HASH_BYTES = 16

const hashArgon2 = promisify(argon2)
const hashPbkdf2 = promisify(pbkdf2)

function encode(bytes: Buffer): string {
  return bytes.toString('base64url')
}

function decode(text = ''): Buffer {
  return Buffer.from(text, 'base64url')
}

function argon2id(password: string, salt: Buffer, memory: number, passes: number): Promise<Buffer> {
  return hashArgon2('argon2id', {
    message: Buffer.from(password.normalize('NFKC')),
    nonce: salt,
    parallelism: 1,
    tagLength: HASH_BYTES,
    memory,
    passes,
  })
}

function hmac(key: KeyObject, salt: Buffer, secret: string): Buffer {
  return createHmac('sha256', key).update(salt).update(secret).digest()
}

/** The verifier of a password that a person chose. It costs 30 ms of one of libuv's threads: a server asks `createVerifiers`. */
export async function makeArgon2Verifier(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const made = await argon2id(password, salt, MEMORY_KIB, PASSES)
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${encode(salt)}$${encode(made)}`
}

/** The verifier of a secret that a machine made, which nobody can guess: it needs the registry's key, and costs microseconds. */
export function makeHmacVerifier(key: KeyObject, secret: string): string {
  const salt = randomBytes(SALT_BYTES)
  return `$hmac-sha256$${encode(salt)}$${encode(hmac(key, salt, secret))}`
}

/**
 * The verifier of what Harbor keeps of a user or robot: the hash in hexadecimal, the salt as its text, and `password_version` (robots
 * have none: sha256). Undefined where it is none of Harbor's.
 */
export function harborVerifier(stored: { readonly hash: string; readonly salt: string; readonly version: string }): string | undefined {
  const { hash, salt, version } = stored
  const known = (version === 'sha1' || version === 'sha256') && /^[0-9a-f]{32}$/.test(hash)
  if (!known || salt === '') return undefined
  return `$pbkdf2-${version}$i=${HARBOR_ITERATIONS}$${encode(Buffer.from(salt))}$${encode(Buffer.from(hash, 'hex'))}`
}

/** Throws where the text is no verifier: only what was made here is stored. */
export function parseVerifier(text: string): Verifier {
  const argon2id = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([\w-]+)\$([\w-]+)$/.exec(text)
  if (argon2id !== null) {
    const [, memoryKib, passes, salt, hash] = argon2id
    return { scheme: 'argon2id', memoryKib: Number(memoryKib), passes: Number(passes), salt: decode(salt), hash: decode(hash) }
  }
  const keyed = /^\$hmac-sha256\$([\w-]+)\$([\w-]+)$/.exec(text)
  if (keyed !== null) return { scheme: 'hmac-sha256', salt: decode(keyed[1]), hash: decode(keyed[2]) }
  const harbor = /^\$pbkdf2-(sha1|sha256)\$i=4096\$([\w-]+)\$([\w-]+)$/.exec(text)
  if (harbor !== null) {
    return { scheme: 'pbkdf2', digest: harbor[1] === 'sha1' ? 'sha1' : 'sha256', salt: decode(harbor[2]), hash: decode(harbor[3]) }
  }
  throw new Error('a verifier of an unknown scheme')
}

/** Whether the parameters are those of today. */
export function isOfToday(verifier: Verifier): boolean {
  switch (verifier.scheme) {
    case 'argon2id':
      return verifier.memoryKib === MEMORY_KIB && verifier.passes === PASSES
    case 'hmac-sha256':
      return true
    case 'pbkdf2':
      return false
  }
}

function same(made: Buffer, expected: Buffer): boolean {
  return made.length === expected.length && timingSafeEqual(made, expected)
}

export function matchesHmac(verifier: Verifier & { scheme: 'hmac-sha256' }, key: KeyObject, secret: string): boolean {
  return same(hmac(key, verifier.salt, secret), verifier.hash)
}

export async function matchesArgon2(verifier: Verifier & { scheme: 'argon2id' }, password: string): Promise<boolean> {
  return same(await argon2id(password, verifier.salt, verifier.memoryKib, verifier.passes), verifier.hash)
}

/** Harbor takes the bytes as they were typed, in no normal form. */
export async function matchesPbkdf2(verifier: Verifier & { scheme: 'pbkdf2' }, password: string): Promise<boolean> {
  return same(await hashPbkdf2(password, verifier.salt, HARBOR_ITERATIONS, HARBOR_HASH_BYTES, verifier.digest), verifier.hash)
}

/** As much work as to verify a password, for a name that nobody has. */
export async function spendArgon2(password: string): Promise<void> {
  await argon2id(password, randomBytes(SALT_BYTES), MEMORY_KIB, PASSES)
}
