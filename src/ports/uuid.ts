/** A UUID in lower case, of whatever version, as a JSON schema has it. */
export const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'

const UUID = new RegExp(UUID_PATTERN)

/** In lower case alone: ids are compared as texts. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}
