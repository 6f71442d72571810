import { isUuid } from '../../ports/uuid.ts'

/** The parameters that may be somebody's name. */
const PEOPLE: ReadonlySet<string> = new Set(['actor', 'user'])

/** What a reading of the trail or of access asked for, as the log may keep it: a person's name stays out of it. */
export function recordable(query: Readonly<Record<string, string | number | undefined>>): Readonly<Record<string, string>> {
  const said = Object.entries(query).flatMap(([name, value]) => (value === undefined || name === 'limit' ? [] : [[name, String(value)] as const]))
  return Object.fromEntries(said.map(([name, value]) => [name, PEOPLE.has(name) && !isUuid(value.toLowerCase()) ? 'by name' : value]))
}
