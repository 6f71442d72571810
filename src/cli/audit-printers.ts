import { auditCursor } from '../projections/audit-queries.ts'
import type { AuditEntry } from '../projections/audit-queries.ts'

/** An entry with its repository's name in the place of its key. */
export type NamedEntry = AuditEntry & { readonly repositoryName: string | undefined }

export type Printer = {
  /** What stands before the first entry. */
  readonly head: string
  lines(entries: readonly NamedEntry[]): string
}

/** A JSON line an entry; what an entry has not is left out. */
export function jsonPrinter(): Printer {
  const line = (entry: NamedEntry): string =>
    JSON.stringify({
      cursor: auditCursor(entry),
      time: entry.at.toISOString(),
      action: entry.action,
      repository: entry.repositoryName,
      tag: entry.tag,
      digest: entry.digest,
      ...entry.pull,
      ...(entry.pull === undefined ? { parameters: entry.parameters } : {}),
      who: entry.who,
      address: entry.address,
      userAgent: entry.userAgent,
      requestId: entry.requestId,
    })
  return { head: '', lines: (entries) => entries.map((entry) => `${line(entry)}\n`).join('') }
}

type Cells = Readonly<Record<string, (entry: NamedEntry) => string>>

const CSV: Cells = {
  cursor: auditCursor,
  time: (entry) => entry.at.toISOString(),
  action: (entry) => entry.action,
  repository: (entry) => entry.repositoryName ?? '',
  tag: (entry) => entry.tag ?? '',
  digest: (entry) => entry.digest ?? '',
  artifact: (entry) => entry.pull?.artifact ?? '',
  reference: (entry) => entry.pull?.reference ?? '',
  method: (entry) => entry.pull?.method ?? '',
  status: (entry) => String(entry.pull?.status ?? ''),
  range: (entry) => entry.pull?.range ?? '',
  parameters: (entry) => (entry.pull === undefined ? JSON.stringify(entry.parameters) : ''),
  actor_kind: (entry) => entry.who.kind,
  actor_id: (entry) => entry.who.id,
  actor_name: (entry) => entry.who.name ?? '',
  address: (entry) => entry.address ?? '',
  user_agent: (entry) => entry.userAgent ?? '',
  request_id: (entry) => entry.requestId ?? '',
}

/** RFC 4180. A cell that a spreadsheet would run as a formula begins with an apostrophe. */
export function csvPrinter(): Printer {
  const row = (cells: readonly string[]): string => `${cells.map(csvCell).join(',')}\r\n`
  return {
    head: row(Object.keys(CSV)),
    lines: (entries) => entries.map((entry) => row(Object.values(CSV).map((cell) => cell(entry)))).join(''),
  }
}

export function csvCell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

const SHORT_DIGEST = 'sha256:'.length + 12

const TABLE: Cells = {
  TIME: (entry) => entry.at.toISOString(),
  ACTION: (entry) => entry.action + reasonOf(entry) + (entry.pull === undefined || (entry.pull.method === 'GET' && entry.pull.status === 200) ? '' : ` ${entry.pull.method} ${entry.pull.status}`),
  REPOSITORY: (entry) => entry.repositoryName ?? '',
  REFERENCE: (entry) => shortened(entry.tag ?? entry.pull?.reference ?? referencesOf(entry)),
  DIGEST: (entry) => shortened(entry.digest ?? ''),
  WHO: (entry) => entry.who.name ?? `${entry.who.kind}:${entry.who.id.slice(0, 8)}`,
  ADDRESS: (entry) => entry.address ?? '',
  CURSOR: auditCursor,
}

/** Of a refusal its reason, and how many like it a line stands for. */
function reasonOf({ parameters: { reason, count } }: AuditEntry): string {
  return (typeof reason === 'string' ? ` ${reason}` : '') + (typeof count === 'number' ? ` ×${count}` : '')
}

function referencesOf({ parameters }: AuditEntry): string {
  const { references } = parameters
  return Array.isArray(references) ? references.join(' ') : ''
}

function shortened(text: string): string {
  return /^sha(?:256|512):/.test(text) ? text.slice(0, SHORT_DIGEST) : text
}

/** The widths that columns keep however narrow the terminal is. */
const NARROWEST = 4
const GAP = 2

/** Columns as wide as the first page needs, cut where the terminal is narrower (`width`; undefined: there is none). */
export function tablePrinter(width: number | undefined): Printer {
  const titles = Object.keys(TABLE)
  let widths: readonly number[] | undefined
  const line = (cells: readonly string[], to: readonly number[]): string =>
    `${cells.map((cell, index) => fitted(cell, to[index] ?? NARROWEST)).join(' '.repeat(GAP)).trimEnd()}\n`
  return {
    head: '',
    lines(entries) {
      const rows = entries.map((entry) => Object.values(TABLE).map((cell) => printable(cell(entry))))
      if (widths !== undefined) return rows.map((row) => line(row, widths ?? [])).join('')
      const needed = titles.map((title, index) => Math.max(title.length, ...rows.map((row) => Array.from(row[index] ?? '').length)))
      const fitting = width === undefined ? needed : narrowed(needed, width)
      widths = fitting
      return [titles, ...rows].map((row) => line(row, fitting)).join('')
    },
  }
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

/** A terminal obeys control characters, and whoever pulls chooses some of these texts. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '\ufffd')
}

function fitted(text: string, width: number): string {
  const characters = Array.from(text)
  return characters.length <= width ? text + ' '.repeat(width - characters.length) : `${characters.slice(0, width - 1).join('')}…`
}
