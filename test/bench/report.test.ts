import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { plot } from '../../bench/plot.ts'
import { renderInto } from '../../bench/report.ts'
import { latencyOf, merge, resultsText } from '../../bench/results.ts'
import type { Figures, Results, RowResult, Run } from '../../bench/results.ts'

const run = (date: string): Run => ({
  date, commit: 'abc', rounds: 3, seconds: 2, machine: { CPU: '2 × some' }, versions: { Varve: '0.1.0' },
})
const values = (...each: number[]): Figures[] => each.map((value) => ({ value }))

const pulls: RowResult = {
  group: 'Manifests', name: 'pulls', unit: 'requests/s', run: 'first',
  measured: {
    Varve: [
      { value: 3_000, failed: 0, answered: 10, recorded: 11, memoryMiB: { server: 100, database: 40 } },
      { value: 1_000, failed: 2, answered: 20, recorded: 20, memoryMiB: { server: 300, database: 50 } },
      { value: 2_000, failed: 0, answered: 30, recorded: 31, memoryMiB: { server: 200, database: 60 } },
    ],
    distribution: values(400, 600, 500),
    nginx: values(10_000, 8_000, 9_000),
  },
}
const storm: RowResult = {
  group: 'Storm', name: 'storm', unit: 's', run: 'first', measured: { Varve: values(4, 6, 5.5), distribution: values(22, 10, 30) },
}

describe('results', () => {
  it('replace the rows that were measured again, and forget runs of which no row is left', () => {
    const before: Results = { runs: [run('first')], rows: [pulls, storm] }
    const one = merge(before, run('second'), [{ ...pulls, run: 'second' }])
    expect(one.rows.map(({ name, run: of }) => [name, of])).toEqual([['pulls', 'second'], ['storm', 'first']])
    expect(one.runs.map(({ date }) => date)).toEqual(['first', 'second'])
    const both = merge(one, run('third'), [{ ...storm, run: 'third' }, { ...pulls, run: 'third' }])
    expect(both.runs.map(({ date }) => date)).toEqual(['third'])
    expect(both.rows).toHaveLength(2)
  })

  it('are read as they were written, to five digits', () => {
    const results: Results = { runs: [run('first')], rows: [{ ...storm, measured: { Varve: values(1.23456789, 1_234_567) } }] }
    expect(JSON.parse(resultsText(results))).toEqual({ ...results, rows: [{ ...storm, measured: { Varve: values(1.2346, 1_234_567) } }] })
  })

  it('have percentiles of times in any order', () => {
    const times = Array.from({ length: 1_000 }, (_, index) => 1_000 - index)
    expect(latencyOf(times)).toEqual({ p50: 501, p90: 901, p99: 991, p999: 1_000, max: 1_000 })
  })
})

describe('the report', () => {
  let folder = ''
  let text = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-report-'))
    const file = join(folder, 'benchmarks.md')
    await writeFile(file, 'before\n<!-- measured: written by npm run bench -->\nold\n<!-- end of what was measured -->\nafter\n')
    const results: Results = { runs: [run('first')], rows: [storm, pulls] }
    // A second time changes nothing.
    for (let times = 0; times < 2; times += 1) await renderInto(folder, results, ['pulls', 'storm'])
    text = await readFile(file, 'utf8')
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('keeps what stands around it, and puts rows in their order', () => {
    expect(text).toMatch(/^before\n<!-- measured.*### Manifests.*### Storm.*measured -->\nafter\n$/s)
    expect(text).not.toContain('old')
    expect(text.match(/### Storm/g)).toHaveLength(1)
  })

  it('shows medians, the lowest and the highest, what failed, and ratios of which more is better', () => {
    const others = '500 (400–600) | not run | 9,000 (8,000–10,000) | **4.00** | **0.22** |'
    expect(text).toContain(`| pulls (requests/s) | 2,000 (1,000–3,000), 2 failed | ${others}`)
    expect(text).toContain('| storm (s) | 5.50 (4–6) | 22 (10–30) | not run | not run | **4.00** | – |')
  })

  it('adds up what was answered and recorded, and takes the highest memory of the server', () => {
    expect(text).toMatch(/\| pulls \| Varve \|.*\| 300 \+ 60 \| 2 \|.*\| 60 \/ 62 \|/)
  })

  it('draws each row as a line, the faster the further right', async () => {
    const drawn = await readFile(join(folder, 'benchmarks.svg'), 'utf8')
    expect(drawn).toBe(plot([pulls, storm]))
    const lineOf = (name: string): string => drawn.slice(drawn.indexOf(`>${name}</text>`)).split('<text')[0] ?? ''
    const at = (name: string): number[] => [...lineOf(name).matchAll(/cx="([\d.]+)"/g)].map(([, x]) => Number(x))
    const [nginx = 0, varve = 0] = at('pulls')
    const one = Number(/<text x="([\d.]+)"[^>]*>1<\/text>/.exec(drawn)?.[1])
    expect(nginx).toBeGreaterThan(varve)
    expect(varve).toBeGreaterThan(one)
    // Both are four times as fast as distribution.
    expect(at('storm')).toEqual([varve])
  })
})
