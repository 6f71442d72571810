import { once } from 'node:events'

/** Writes results to standard output, no faster than its reader takes them. A reader that has gone (`| head`) is no error: the rest is not wanted. */
export async function print(text: string): Promise<void> {
  if (process.stdout.destroyed) return
  try {
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** Waits until what was written has been taken: an exit would cut a pipe off. */
export async function flushOutput(): Promise<void> {
  await new Promise((resolve) => {
    process.stdout.write('', resolve)
  })
}

export const outputGone = (): boolean => process.stdout.destroyed

process.stdout.on('error', (error) => {
  if (!isGone(error)) throw error
})

function isGone(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'EPIPE'
}
