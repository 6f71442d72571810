/** U+0000, or a surrogate without its other half, as JSON text shows them. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|[dD][89a-fA-F])/

/** Whether what stands in a JSON text, as JSON.stringify writes it, can be kept: Postgres takes no U+0000, and an event with either would stop every projection for good. */
export function isStorable(json: string): boolean {
  return !UNSTORABLE.test(json)
}
