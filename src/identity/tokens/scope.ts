import { parseRepositoryName, splitRepositoryName } from '../../oci/names.ts'

/** One element of a token's `access` claim, and of what is asked for. */
export type Access = { readonly type: string; readonly name: string; readonly actions: readonly string[] }

const REPOSITORY_ACTIONS = ['pull', 'push', 'delete'] as const

/** Both bound what one request makes a server look up. */
const MOST_SCOPES = 100
const LONGEST_SCOPES = 16_384

/**
 * What the `scope` parameters of a token request ask for (distribution, spec/auth/scope): each may hold several, separated by spaces.
 * `*` is every action. The same repository asked for twice is one element. What is malformed, or of a type that the registry does not
 * have, is left out: a token grants nothing for it.
 */
export function parseScopes(parameters: readonly string[]): Access[] {
  const found = new Map<string, { readonly type: string; readonly name: string; readonly actions: Set<string> }>()
  for (const text of parameters.join(' ').slice(0, LONGEST_SCOPES).split(' ')) {
    const scope = parseScope(text)
    if (scope === undefined) continue
    const key = `${scope.type}:${scope.name}`
    const merged = found.get(key) ?? { type: scope.type, name: scope.name, actions: new Set<string>() }
    if (!found.has(key) && found.size === MOST_SCOPES) break
    found.set(key, merged)
    for (const action of scope.actions) merged.actions.add(action)
  }
  return Array.from(found.values(), ({ type, name, actions }) => ({ type, name, actions: [...actions] }))
}

/**
 * Type up to the first colon, actions after the last one: a name may hold one, in the port of a host. A class, `repository(plugin)`,
 * says nothing.
 */
function parseScope(text: string): Access | undefined {
  const [, type, name = '', listed = ''] = /^(repository|registry)(?:\([a-z0-9]+\))?:(.+):([a-z*,]*)$/.exec(text) ?? []
  const asked = listed.split(',')
  if (type === 'registry') return name === 'catalog' && asked.includes('*') ? { type, name, actions: ['*'] } : undefined
  const actions = REPOSITORY_ACTIONS.filter((action) => asked.includes(action) || asked.includes('*'))
  return type !== undefined && parseRepositoryName(name) !== undefined && actions.length > 0 ? { type, name, actions } : undefined
}

/** Whether a token's `access` holds all of what a request needs. `app` and `library/app` are one repository. */
export function covers(access: readonly Access[], needed: Access): boolean {
  return needed.actions.every((action) => access.some((each) => each.actions.includes(action) && isSame(each, needed)))
}

function isSame(one: Access, other: Access): boolean {
  return one.type === other.type && (one.name === other.name || canonicalName(one) === canonicalName(other))
}

function canonicalName({ type, name }: Access): string {
  const repository = type === 'repository' ? parseRepositoryName(name) : undefined
  if (repository === undefined) return name
  const { project, path } = splitRepositoryName(repository)
  return `${project}/${path}`
}

/** As a challenge and a token response write it. */
export function formatScopes(access: readonly Access[]): string {
  return access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ')
}
