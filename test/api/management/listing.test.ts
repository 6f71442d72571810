import { describe, expect, it } from '@jest/globals'
import { listAsked, pageAnswer, parseTerms } from '../../../src/api/management/listing.ts'
import type { ListColumns } from '../../../src/projections/lists.ts'

const columns = {
  project_id: { column: 'number', type: 'number' },
  name: { column: 'name', type: 'text' },
  disabled: { column: 'disabled', type: 'boolean' },
  creation_time: { column: 'created_at', type: 'time' },
} as const satisfies ListColumns

const asked = (query: { q?: string; sort?: string }) => listAsked(columns, { page: 1, page_size: 10, ...query })

describe('q', () => {
  it.each([
    ['', []],
    ['name=app', [{ name: 'name', match: 'equal', value: 'app' }]],
    ['name=\\~app', [{ name: 'name', match: 'equal', value: '~app' }]],
    ['name=~app,k=v=w', [{ name: 'name', match: 'part', value: 'app' }, { name: 'k', match: 'equal', value: 'v=w' }]],
    ['k=[1~5]', [{ name: 'k', match: 'between', from: '1', to: '5' }]],
    ['k=[~"b"]', [{ name: 'k', match: 'between', from: '', to: 'b' }]],
    [`k={a 'b'  "c"}`, [{ name: 'k', match: 'any', values: ['a', 'b', 'c'] }]],
    ['k=(a b)', [{ name: 'k', match: 'all', values: ['a', 'b'] }]],
    ['name%3D~app', [{ name: 'name', match: 'part', value: 'app' }]],
    ['name=100%25', [{ name: 'name', match: 'equal', value: '100%25' }]],
  ])('%s is understood', (text, terms) => {
    expect(parseTerms(text)).toEqual(terms)
  })

  it.each(['name', 'name=', '=app', 'name=~', 'name=app,', 'k=[1]', 'k=[~]', 'k=[1~2~3]', 'k=[1~2', 'k={a', 'k=(a', 'name=a\u0000', '%', 'name%3Da%00'])('%j is refused', (text) => {
    expect(parseTerms(text)).toMatchObject({ refused: true, status: 400 })
  })

  it('takes no longer over a run of quotes than over other characters', () => {
    // By a search from each quote on it took hours.
    const value = `a${'"'.repeat(3_000_000)}b`
    expect(parseTerms(`k={${value}}`)).toEqual([{ name: 'k', match: 'any', values: [value] }])
  })

  it('gives each column the values that it can have', () => {
    expect(asked({ q: 'ProjectID=7,NAME={a 1},Disabled=true,creation_time=[2026-01-02 03:04:05~2026-02-03T04:05:06Z],other=1' })).toMatchObject({
      filters: [
        { by: columns.project_id, match: 'equal', value: 7 },
        { by: columns.name, match: 'any', values: ['a', '1'] },
        { by: columns.disabled, match: 'equal', value: true },
        { by: columns.creation_time, match: 'between', from: '2026-01-02T03:04:05.000Z', to: '2026-02-03T04:05:06.000Z' },
      ],
    })
    expect(asked({ q: 'name=(a a)' })).toMatchObject({ filters: [{ match: 'any', values: ['a', 'a'] }] })
    expect(asked({ q: 'name=(a b)' })).toMatchObject({ filters: [{ match: 'any', values: [] }] })
    expect(asked({ q: 'creation_time=[2026-01-02~]' })).toMatchObject({ filters: [{ from: '2026-01-02T00:00:00.000Z', to: undefined }] })
  })

  it.each(['project_id=x', 'project_id=1.5', 'project_id={1 x}', 'project_id=[x~]', 'project_id=99999999999999999999', 'disabled=yes', 'creation_time=2026-13-45', 'creation_time=then'])(
    '%s is refused, since its column has no such values',
    (q) => {
      expect(asked({ q })).toMatchObject({ refused: true, status: 400 })
    },
  )
})

describe('sort', () => {
  it('orders by the columns that are known, the first one first', () => {
    expect(asked({ sort: 'name,-creation_time,other' })).toMatchObject({
      order: [
        { by: columns.name, descending: false },
        { by: columns.creation_time, descending: true },
      ],
    })
  })
})

describe('a page', () => {
  const answered = (url: string, page: number, total: number) => pageAnswer({ url }, { page, pageSize: 2 }, { items: [1], total }, String)

  it('says how many there are, and where those beside it are', () => {
    expect(answered('/api/v2.0/users?q=username%3D~a&page=2&page_size=2', 2, 5)).toEqual({
      status: 200,
      body: ['1'],
      headers: {
        'X-Total-Count': '5',
        Link: '</api/v2.0/users?q=username%3D%7Ea&page=1&page_size=2>; rel="prev" , </api/v2.0/users?q=username%3D%7Ea&page=3&page_size=2>; rel="next"',
      },
    })
    expect(answered('/u', 1, 3).headers?.['Link']).toBe('</u?page=2&page_size=2>; rel="next"')
    expect(answered('/u?page=2', 2, 3).headers?.['Link']).toBe('</u?page=1&page_size=2>; rel="prev"')
  })

  it('has no link where there is no page beside it', () => {
    expect(answered('/u', 1, 2).headers).toEqual({ 'X-Total-Count': '2' })
    expect(answered('/u?page=9', 9, 2).headers).toEqual({ 'X-Total-Count': '2' })
  })
})
