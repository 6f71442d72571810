/** Jest's `afterAll`; outside jest, as in bench/, whoever started something ends it. */
export const afterAll: (end: () => Promise<void>) => void =
  process.env['JEST_WORKER_ID'] === undefined ? () => undefined : (await import('@jest/globals')).afterAll
