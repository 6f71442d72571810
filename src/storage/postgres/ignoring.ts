import { hasCode } from '../durable.ts'

/** What the work gives; undefined where it failed with one of the codes. */
export async function ignoring<T>(codes: readonly string[], work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error: unknown) {
    if (hasCode(error, ...codes)) return undefined
    throw error
  }
}
