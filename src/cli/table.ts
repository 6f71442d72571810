/** The widths that columns keep however narrow the terminal is. */
const NARROWEST = 4
const GAP = 2

/** The widths of columns: what titles and rows need, taken from the widest where the terminal is narrower (undefined: there is none). */
export function widthsOf(titles: readonly string[], rows: readonly (readonly string[])[], width: number | undefined): number[] {
  const needed = titles.map((title, index) => Math.max(title.length, ...rows.map((row) => Array.from(row[index] ?? '').length)))
  return width === undefined ? needed : narrowed(needed, width)
}

/** A row in columns of these widths; what is too long is cut. */
export function tableLine(cells: readonly string[], widths: readonly number[]): string {
  return `${cells.map((cell, index) => fitted(cell, widths[index] ?? NARROWEST)).join(' '.repeat(GAP)).trimEnd()}\n`
}

/** A terminal obeys control characters, and people choose some of these texts. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '\ufffd')
}

/** Takes what is too much from the widest column, one character after the other. */
function narrowed(widths: readonly number[], width: number): number[] {
  const fitting = [...widths]
  const total = (): number => fitting.reduce((sum, each) => sum + each + GAP, -GAP)
  while (total() > width && Math.max(...fitting) > NARROWEST) {
    const widest = fitting.indexOf(Math.max(...fitting))
    fitting[widest] = (fitting[widest] ?? NARROWEST) - 1
  }
  return fitting
}

function fitted(text: string, width: number): string {
  const characters = Array.from(text)
  return characters.length <= width ? text + ' '.repeat(width - characters.length) : `${characters.slice(0, width - 1).join('')}…`
}
