const MAX_LENGTH = 2_000
/** A name that is encoded more often than that is none of ours. Harbor's pages encode a repository's twice. */
const MAX_DECODINGS = 4

/**
 * Where a login leads to: a path on this origin, with query and fragment, as it was given; undefined if it could lead anywhere else.
 * Browsers read `\` as `/`, leave out tabs and line breaks, and take what begins with `//` for another host; proxies and pages decode once
 * more. So the path must be none of these in any of its decodings, nor once its dots are resolved.
 */
export function safeReturnTo(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > MAX_LENGTH || !/^\/[!-~]*$/.test(text)) return undefined
  const [path = ''] = text.split(/[?#]/)
  const decodings = decodingsOf(path)
  if (decodings === undefined || !decodings.every(isOwnPath)) return undefined
  // No header is split by what stands behind the path either.
  return /\\|%0|%1|%7f/i.test(text.slice(path.length)) ? undefined : text
}

/**
 * A path and what decoding makes of it, again and again, until nothing is left to decode; undefined if it cannot be decoded, or not so
 * soon.
 */
function decodingsOf(path: string): readonly string[] | undefined {
  const decodings = [path]
  for (let last = path; last.includes('%'); decodings.push(last)) {
    if (decodings.length > MAX_DECODINGS) return undefined
    try {
      const next = decodeURIComponent(last)
      if (next === last) break
      last = next
    } catch {
      return undefined
    }
  }
  return decodings
}

function isOwnPath(path: string): boolean {
  if (/[\\\u0000-\u001f\u007f]/.test(path)) return false
  return !path.startsWith('//') && !new URL(path, 'https://here.invalid').pathname.startsWith('//')
}
