import { afterAll, afterEach, beforeAll, expect } from '@jest/globals'

/** No promise of this file's tests may be rejected without a listener, and no error be thrown where nobody catches it. */
export function refuseUnhandled(): void {
  const met: unknown[] = []
  const note = (error: unknown): void => {
    met.push(error)
  }
  beforeAll(() => {
    process.on('unhandledRejection', note)
    process.on('uncaughtExceptionMonitor', note)
  })
  afterEach(() => {
    expect(met.splice(0)).toEqual([])
  })
  afterAll(() => {
    process.off('unhandledRejection', note)
    process.off('uncaughtExceptionMonitor', note)
    expect(met).toEqual([])
  })
}
