import type { StoredEvent } from '../store/record.ts'
import type { Streams } from './generated.ts'
import { invalidArgument } from './refusals.ts'

export type Filter = {
  matches(event: StoredEvent): boolean
  /** How many events are looked at, at the most, before a page ends. */
  readonly window: number
  /** A checkpoint is due after this many events looked at. */
  readonly checkpointInterval: number
}

const DEFAULT_WINDOW = 32

/** What a request wants to see of `$all`; undefined for everything. */
export function filterOf(options: Streams.ReadReq.Options): Filter | undefined {
  const filter = options.getFilter()
  if (filter === undefined) return undefined
  const window = filter.hasMax() ? filter.getMax() : DEFAULT_WINDOW
  if (window === 0) throw invalidArgument('a search window of 0')
  return { matches: matcher(filter), window, checkpointInterval: window * filter.getCheckpointintervalmultiplier() }
}

function matcher(filter: Streams.ReadReq.Options.FilterOptions): (event: StoredEvent) => boolean {
  const byStream = filter.getStreamIdentifier()
  const byType = filter.getEventType()
  const expression = byStream ?? byType
  if (expression === undefined) throw invalidArgument('a filter by nothing')
  const test = textTest(expression)
  return byStream === undefined ? (event) => test(event.type) : (event) => test(event.stream)
}

function textTest(expression: Streams.ReadReq.Options.FilterOptions.Expression): (text: string) => boolean {
  const regex = expression.getRegex()
  const prefixes = expression.getPrefixList()
  if (regex === '') return (text) => prefixes.some((prefix) => text.startsWith(prefix))
  const pattern = new RegExp(regex)
  return (text) => pattern.test(text)
}
