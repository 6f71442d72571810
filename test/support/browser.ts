import { chromium } from 'playwright-core'
import type { BrowserContext } from 'playwright-core'
import { isRoot, tool } from '../e2e/tools.ts'

/** Debian's Chromium, where the machine has it: playwright-core brings none. */
export const chromiumHere = tool('chromium')

/**
 * Does something in a window of its own of a real browser, which is ended in any case. The tests' own certificates are taken; names are
 * looked up nowhere but on this machine.
 */
export async function inBrowser<T>(work: (window: BrowserContext) => Promise<T>): Promise<T> {
  if (chromiumHere === undefined) throw new Error('There is no Chromium: npm run test:setup brings it')
  const browser = await chromium.launch({
    executablePath: chromiumHere,
    // Root's has no sandbox; and whatever it would fetch for itself is not there.
    args: [
      ...(isRoot ? ['--no-sandbox'] : []),
      '--disable-background-networking',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  })
  try {
    return await work(await browser.newContext({ ignoreHTTPSErrors: true }))
  } finally {
    await browser.close()
  }
}
