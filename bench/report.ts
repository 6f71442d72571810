import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { plot } from './plot.ts'
import { median, medianOf, timesAsGood } from './results.ts'
import type { Figures, RegistryName, Results, RowResult, Run } from './results.ts'

const COLUMNS: readonly RegistryName[] = ['Varve', 'distribution', 'docker-registry', 'nginx']
const [BEGIN, END] = ['<!-- measured: written by npm run bench -->', '<!-- end of what was measured -->']

/** Writes the plot, and the measured part of benchmarks.md between its marks, with the rows in the order of `names`. */
export async function renderInto(folder: string, results: Results, names: readonly string[]): Promise<void> {
  const rows = results.rows.toSorted((a, b) => names.indexOf(a.name) - names.indexOf(b.name))
  const file = join(folder, 'benchmarks.md')
  const text = await readFile(file, 'utf8').catch(() => `${BEGIN}\n${END}\n`)
  const [before, after] = [text.slice(0, text.indexOf(BEGIN)), text.slice(text.indexOf(END))]
  await writeFile(file, `${before}${BEGIN}\n${measuredPart({ ...results, rows })}\n${after}`)
  await writeFile(join(folder, 'benchmarks.svg'), plot(rows))
}

export function measuredPart({ runs, rows }: Results): string {
  const groups = [...new Set(rows.map(({ group }) => group))]
  const tables = groups.flatMap((group) => {
    const members = rows.filter((row) => row.group === group)
    return [`### ${group}`, rateTable(members), costTable(members)]
  })
  const picture = '![Each row as a line: how many times as fast as distribution v3 each registry was](benchmarks.svg)'
  return [...runs.map((run) => describeRun(run, rows)), picture, ...tables].join('\n\n')
}

function describeRun(run: Run, rows: readonly RowResult[]): string {
  const facts = (of: Readonly<Record<string, string>>): string => Object.entries(of).map(([name, value]) => `${name} ${value}`).join('; ')
  const mine = rows.filter((row) => row.run === run.date).length
  const when = run.date.slice(0, 16).replace('T', ' ')
  return [
    `Measured ${when} UTC at commit ${run.commit} (rows: ${mine}; rounds: ${run.rounds}; loads of ${run.seconds} s).`,
    `Machine: ${facts(run.machine)}.`,
    `Versions: ${facts(run.versions)}.`,
  ].join('\n')
}

/** Medians, with the lowest and highest round, and what Varve's is to the others'. */
function rateTable(rows: readonly RowResult[]): string {
  const line = (row: RowResult): string[] => [
    `${row.name} (${row.unit})`,
    ...COLUMNS.map((name) => spread(row, name)),
    ratio(row, 'distribution'),
    ratio(row, 'nginx'),
  ]
  return table(['', ...COLUMNS, 'Varve : distribution', 'Varve : nginx'], rows.map(line))
}

/** What stands behind the rates: latencies, CPU time, memory, and Varve's trail. */
function costTable(rows: readonly RowResult[]): string {
  const lines = rows.flatMap((row) =>
    COLUMNS.flatMap((name) => {
      const rounds = row.measured[name] ?? []
      if (rounds.length === 0) return []
      const figures = (one: Of, other: Of, sum?: Sum): string => `${figure(rounds, one, sum)} / ${figure(rounds, other, sum)}`
      return [[
        row.name, name,
        LATENCIES.map((which) => figure(rounds, ({ latency }) => latency?.[which])).join(' / '),
        both(rounds, ({ cpuMicros }) => cpuMicros?.server, ({ cpuMicros }) => cpuMicros?.database, median),
        both(rounds, ({ memoryMiB }) => memoryMiB?.server, ({ memoryMiB }) => memoryMiB?.database, highest),
        figure(rounds, ({ failed }) => failed, total),
        name === 'Varve' ? figures(({ lagEvents }) => lagEvents, ({ drainSeconds }) => drainSeconds) : '',
        name === 'Varve' ? figures(({ answered }) => answered, ({ recorded }) => recorded, total) : '',
      ]]
    }),
  )
  const head = ['', '', 'ms: p50 / p90 / p99 / p99.9', 'CPU µs', 'MiB', 'failed', 'behind / drained in s', 'answered / recorded']
  return `<details><summary>Latency, CPU time a request, memory, and Varve's trail</summary>\n\n${table(head, lines)}\n\n</details>`
}

const LATENCIES = ['p50', 'p90', 'p99', 'p999'] as const

type Of = (figures: Figures) => number | undefined

const valuesOf = (rounds: readonly Figures[], of: Of): number[] => rounds.map(of).filter((value) => value !== undefined)

type Sum = (values: readonly number[]) => number

const highest: Sum = (values) => Math.max(...values)

function figure(rounds: readonly Figures[], of: Of, sum: Sum = median): string {
  const values = valuesOf(rounds, of)
  return values.length === 0 ? '–' : short(sum(values))
}

const total: Sum = (values) => values.reduce((sum, value) => sum + value, 0)

const both = (rounds: readonly Figures[], server: Of, database: Of, sum: Sum): string =>
  [server, database].filter((of) => valuesOf(rounds, of).length > 0).map((of) => figure(rounds, of, sum)).join(' + ')

function spread(row: RowResult, name: RegistryName): string {
  const middle = medianOf(row, name)
  if (middle === undefined) return 'not run'
  const rounds = row.measured[name] ?? []
  const values = rounds.map(({ value }) => value)
  // A client that was turned away is done soon: no such figure may look good.
  const failed = total(valuesOf(rounds, (figures) => figures.failed))
  return `${short(middle)} (${short(Math.min(...values))}–${short(Math.max(...values))})${failed > 0 ? `, ${grouped(failed)} failed` : ''}`
}

function ratio(row: RowResult, name: RegistryName): string {
  const times = timesAsGood(row, 'Varve', name)
  return times === undefined ? '–' : `**${times.toFixed(2)}**`
}

/** Three digits, or all of a larger or a whole number. */
function short(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return grouped(Math.round(value))
  return value.toPrecision(value >= 1 ? 3 : 2)
}

const grouped = (value: number): string => value.toLocaleString('en')

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...lines.map(row)].join('\n')
}
