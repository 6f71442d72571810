import { medianOf, timesAsGood } from './results.ts'
import type { RegistryName, RowResult } from './results.ts'

const COLOURS: Readonly<Record<RegistryName, string>> = {
  Varve: '#0b6e8a', distribution: '#777777', 'docker-registry': '#c7a34a', nginx: '#b3402e',
}
const DRAWN: readonly RegistryName[] = ['nginx', 'docker-registry', 'Varve']
const [LEFT, SCALE, RIGHT, TOP, LINE] = [400, 460, 30, 60, 16]
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]

/**
 * One line a row, on one scale whatever the unit: how many times as fast as distribution each registry was, so that one that was as fast
 * stands on 1, and right of it is better. Rows that distribution has no part in are left out.
 */
export function plot(rows: readonly RowResult[]): string {
  const lines = rows.flatMap((row) => {
    if (medianOf(row, 'distribution') === undefined) return []
    const dots = DRAWN.flatMap((name) => {
      const times = timesAsGood(row, name, 'distribution')
      return times === undefined ? [] : [{ name, times }]
    })
    return [{ row, dots }]
  })
  const reached = [1, ...lines.flatMap(({ dots }) => dots.map(({ times }) => times))]
  const ticks = ticksFor(Math.min(...reached), Math.max(...reached))
  const [first = 1, last = 1] = [ticks[0], ticks.at(-1)]
  const x = (times: number): string => (LEFT + (SCALE * Math.log(times / first)) / Math.log(last / first)).toFixed(1)
  const [width, height] = [LEFT + SCALE + RIGHT, TOP + lines.length * LINE + 10]

  const grid = ticks.flatMap((tick) => [
    `<line x1="${x(tick)}" x2="${x(tick)}" y1="${TOP - 8}" y2="${height - 8}" stroke="${tick === 1 ? COLOURS.distribution : '#e4e4e4'}"/>`,
    words(x(tick), TOP - 14, 'middle', String(tick)),
  ])
  const drawn = lines.flatMap(({ row, dots }, index) => {
    const y = TOP + index * LINE + LINE / 2
    return [
      words(String(LEFT - 12), y + 4, 'end', row.name),
      ...dots.map(({ name, times }) => `<circle cx="${x(times)}" cy="${y}" r="${name === 'Varve' ? 5 : 3.5}" fill="${COLOURS[name]}"/>`),
    ]
  })
  const legend = DRAWN.toReversed().flatMap((name, index) => [
    `<circle cx="${LEFT + index * 130}" cy="16" r="5" fill="${COLOURS[name]}"/>`,
    words(String(LEFT + 10 + index * 130), 20, 'start', name),
  ])
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    words(String(LEFT - 12), 20, 'end', 'times as fast as distribution v3 (1)'),
    ...legend, ...grid, ...drawn,
    '</svg>\n',
  ].join('\n')
}

/** From the last one below the lowest value to the first one above the highest. */
function ticksFor(lowest: number, highest: number): number[] {
  const below = TICKS.findLastIndex((tick) => tick <= lowest)
  const above = TICKS.findIndex((tick) => tick >= highest && tick > 1)
  return TICKS.slice(Math.max(0, below), above < 0 ? TICKS.length : above + 1)
}

const words = (x: string, y: number, anchor: 'start' | 'middle' | 'end', text: string): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="#222222">${text}</text>`
