/** State: what is, and what decisions rest on. Activity: what was asked for (pulls, access). One space of positions. */
export type Lane = 'state' | 'activity'

const ACTIVITY = ['activity-', 'access-', 'checkpoint-']

/** A stream's kind, the part before its first dash, says its lane. */
export function laneOf(stream: string): Lane {
  return ACTIVITY.some((prefix) => stream.startsWith(prefix)) ? 'activity' : 'state'
}

/** A repository's key, `<project id>/<path>`: the project's id, since a name may come to stand for another project. */
export type RepositoryKey = string & { readonly __brand: 'RepositoryKey' }

/** `path`: the repository's name without its project's. */
export function repositoryKey(projectId: string, path: string): RepositoryKey {
  return `${projectId}/${path}` as RepositoryKey
}

/** What a key was made of. */
export function splitRepositoryKey(key: string): { readonly project: string; readonly path: string } {
  const end = key.indexOf('/')
  return { project: key.slice(0, end), path: key.slice(end + 1) }
}

/** Undefined for the stream of anything else. */
export function repositoryOfStream(stream: string): RepositoryKey | undefined {
  return stream.startsWith('repository-') ? (stream.slice('repository-'.length) as RepositoryKey) : undefined
}

export const streams = {
  log: 'log',
  settings: 'settings',
  alarms: 'alarms',
  keys: 'keys',
  users: 'users',
  user: (id: string) => `user-${id}`,
  groups: 'groups',
  robots: 'robots',
  robot: (id: string) => `robot-${id}`,
  projects: 'projects',
  project: (id: string) => `project-${id}`,
  repository: (key: RepositoryKey) => `repository-${key}`,
  upload: (id: string) => `upload-${id}`,
  activity: (boot: string) => `activity-${boot}`,
  access: (boot: string) => `access-${boot}`,
}
