import { auditLines } from '../projections/audit-documents.ts'
import type { NamedEntry } from '../projections/audit-documents.ts'
import { auditCursor } from '../projections/audit-queries.ts'
import type { AuditEntry } from '../projections/audit-queries.ts'
import { printable, tableLine, widthsOf } from './table.ts'

export type Printer = {
  /** What stands before the first entry. */
  readonly head: string
  lines(entries: readonly NamedEntry[]): string
}

/** A JSON line an entry; what an entry has not is left out. */
export function jsonPrinter(): Printer {
  return { head: '', lines: auditLines }
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

function csvCell(text: string): string {
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

/** Columns as wide as the first page needs, cut where the terminal is narrower (`width`; undefined: there is none). */
export function tablePrinter(width: number | undefined): Printer {
  const titles = Object.keys(TABLE)
  let widths: readonly number[] | undefined
  return {
    head: '',
    lines(entries) {
      const rows = entries.map((entry) => Object.values(TABLE).map((cell) => printable(cell(entry))))
      const known = widths
      if (known !== undefined) return rows.map((row) => tableLine(row, known)).join('')
      const fitting = widthsOf(titles, rows, width)
      widths = fitting
      return [titles, ...rows].map((row) => tableLine(row, fitting)).join('')
    },
  }
}
