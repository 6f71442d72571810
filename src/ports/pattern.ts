/** A regular expression as settings hold it, in Unicode mode; undefined for a text that is none. */
export function parsePattern(text: string): RegExp | undefined {
  try {
    return new RegExp(text, 'u')
  } catch {
    return undefined
  }
}
