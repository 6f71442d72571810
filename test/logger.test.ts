import { describe, expect, test } from '@jest/globals'
import type { LogLevel } from '../src/config.ts'
import type { Logger } from '../src/logger.ts'
import { createLogger } from '../src/logger.ts'

const written = (use: (log: Logger) => void, level: LogLevel = 'info'): { readonly all: string; readonly lines: unknown[] } => {
  let all = ''
  use(createLogger({ level, destination: { write: (line) => { all += line } } }))
  return { all, lines: all.split('\n').filter((line) => line !== '').map((line): unknown => JSON.parse(line)) }
}

const SECRET = 'hunter2'

describe('the log', () => {
  test('is one JSON object a line, with the time and the level in words', () => {
    const { lines } = written((log) => {
      log.info({ requestId: 'r' }, 'done')
      log.debug('not shown')
    })
    expect(lines).toEqual([{ level: 'info', time: expect.stringMatching(/^[0-9-]{10}T[0-9:.]{12}Z$/), requestId: 'r', msg: 'done' }])
  })

  test('silent says nothing', () => {
    expect(written((log) => { log.fatal('x') }, 'silent').all).toBe('')
  })

  test.each([
    [{ authorization: SECRET }],
    [{ headers: { authorization: `Basic ${SECRET}`, cookie: SECRET, 'set-cookie': [SECRET], 'proxy-authorization': SECRET } }],
    [{ req: { headers: { authorization: SECRET } } }],
    [{ user: { password: SECRET, token: SECRET } }],
    [{ robot: { secret: SECRET } }],
    [{ body: { access_token: SECRET, refresh_token: SECRET } }],
    [{ err: new Error(`connect postgres://varve:${SECRET}@db/varve failed`, { cause: new Error(`esdb://a:${SECRET}@h`) }) }],
    [{ err: Object.assign(new Error('duplicate key'), { code: '23505', detail: `Key (name)=(${SECRET}) already exists.` }) }],
  ])('hides what stands in %j', (fields) => {
    const { all, lines } = written((log) => { log.warn(fields, 'x') })
    expect(lines).toHaveLength(1)
    expect(all).not.toContain(SECRET)
  })

  test('looks through a long text once', () => {
    // By a search from each letter on it took hours.
    const long = 'a'.repeat(3_000_000)
    expect(written((log) => { log.warn({ err: new Error(`${long} x://a:${SECRET}@h`) }, 'x') }).lines).toMatchObject([{ err: { message: `${long} x://[redacted]@h` } }])
  })

  test('shows an error with its causes and its code', () => {
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    const { lines } = written((log) => { log.error({ err: new Error('no log', { cause: new AggregateError([cause]) }) }, 'x') })
    expect(lines).toMatchObject([
      {
        err: {
          type: 'Error',
          message: 'no log',
          stack: expect.stringContaining('logger.test'),
          cause: { errors: [{ code: 'ECONNREFUSED', message: 'refused' }] },
        },
      },
    ])
  })
})
