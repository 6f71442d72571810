/**
 * A key that two spellings of one distinguished name share: RFC 4514 lets a name be written with other escapes, other case of the
 * attribute types, and (as RFC 2253 did) spaces around its separators; values compare without case and with runs of spaces as one, as
 * names of people and groups do (RFC 4518). Undefined where the text is no such name.
 */
export function dnKey(text: string): string | undefined {
  const parts: string[][] = [[]]
  let rest = text.trim()
  while (rest !== '') {
    const found = PAIR.exec(rest)
    if (found === null) return undefined
    const [all, type = '', quoted, plain = '', separator = ''] = found
    const value = valueOf(quoted, plain).normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim()
    parts.at(-1)?.push(`${type.toLowerCase()}=${JSON.stringify(value)}`)
    rest = rest.slice(all.length)
    if (separator !== '' && rest === '') return undefined
    if (separator === ',' || separator === ';') parts.push([])
  }
  return parts.map((pairs) => pairs.sort().join('+')).join(',')
}

/** Whether two texts are spellings of one distinguished name. */
export function isSameDn(one: string, other: string): boolean {
  return (dnKey(one) ?? one) === (dnKey(other) ?? other)
}

/** What the entry of this name is called: its first value, without control characters. The text itself where it has none. */
export function ownName(text: string): string {
  const [, , quoted, plain = ''] = PAIR.exec(text) ?? []
  const name = valueOf(quoted, plain).replace(/\p{Cc}/gu, ' ')
  return name === '' ? text : name
}

/**
 * A type, `=`, a value in quotes or not, and what parts it from the next. Anybody's text comes here, so no two quantifiers may share out
 * one run of characters: all spaces behind `=` go before the value, and those behind a value without quotes are its own.
 */
const PAIR = /^\s*([A-Za-z][\w-]*|\d+(?:\.\d+)*)\s*=\s*(?!\s)(?:"((?:[^"\\]|\\.)*)"\s*|((?:[^"\\,;+]|\\.)*))(?:([,;+])|$)/s

function valueOf(quoted: string | undefined, plain: string): string {
  return unescaped(quoted ?? withoutLastSpaces(plain))
}

/** All but one that is escaped. */
function withoutLastSpaces(plain: string): string {
  let end = plain.length
  while (plain[end - 1] === ' ' && plain[end - 2] !== '\\') end -= 1
  return plain.slice(0, end)
}

/** `\XX` is a byte of the value's UTF-8; before anything else, a backslash stands for nothing itself. */
function unescaped(value: string): string {
  return value.replace(
    /(?:\\[0-9A-Fa-f]{2})+|\\(.)/gs,
    (escape, character: string | undefined) => character ?? Buffer.from(escape.replaceAll('\\', ''), 'hex').toString('utf8'),
  )
}
