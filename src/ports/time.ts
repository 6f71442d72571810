const RFC_3339 = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/i

/** A time as RFC 3339 writes it; undefined for anything else, and for a day that no month has. */
export function parseTime(text: string): Date | undefined {
  const [, day = ''] = RFC_3339.exec(text) ?? []
  const time = new Date(text.toUpperCase())
  // `Date` takes the 31st of February for a day in March.
  const isDay = day !== '' && !Number.isNaN(time.getTime()) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)
  return isDay ? time : undefined
}
