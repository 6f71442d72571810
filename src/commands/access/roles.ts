import type { Role } from '../project/events.ts'

/** What a permission is about, and what it lets one do with it. The words are Harbor's, since its users' scripts and robots name them. */
export type Permission = { readonly resource: string; readonly action: string }

type Actions = Readonly<Record<string, readonly string[]>>

/**
 * Which table answers rest on. A change of the table is a new version, and the old tables stay: what somebody could do at a time
 * is answered by the table of that time.
 */
export const ROLES_VERSION = 1

const LIMITED_GUEST: Actions = {
  accessory: ['list'],
  artifact: ['list', 'read'],
  'artifact-addition': ['read'],
  configuration: ['read'],
  project: ['read'],
  quota: ['read'],
  repository: ['list', 'pull', 'read'],
  sbom: ['read'],
  scan: ['read'],
  scanner: ['read'],
  tag: ['list'],
}

const GUEST: Actions = {
  ...LIMITED_GUEST,
  label: ['list', 'read'],
  member: ['list', 'read'],
  robot: ['list', 'read'],
}

const DEVELOPER: Actions = {
  ...GUEST,
  artifact: ['create', 'list', 'read'],
  'artifact-label': ['create', 'delete'],
  'export-cve': ['create', 'list', 'read'],
  history: ['read'],
  repository: ['create', 'list', 'pull', 'push', 'read', 'update'],
  tag: ['create', 'list'],
  'tag-retention': ['create', 'delete', 'list', 'operate', 'read', 'update'],
}

const MAINTAINER: Actions = {
  ...DEVELOPER,
  artifact: ['create', 'delete', 'list', 'read'],
  'immutable-tag': ['create', 'delete', 'list', 'update'],
  label: ['create', 'delete', 'list', 'read', 'update'],
  metadata: ['read'],
  'notification-policy': ['list', 'read'],
  repository: ['create', 'delete', 'list', 'pull', 'push', 'read', 'update'],
  sbom: ['create', 'read', 'stop'],
  scan: ['create', 'read', 'stop'],
  tag: ['create', 'delete', 'list'],
}

const PROJECT_ADMIN: Actions = {
  ...MAINTAINER,
  access: ['read'],
  configuration: ['read', 'update'],
  log: ['list'],
  member: ['create', 'delete', 'list', 'read', 'update'],
  metadata: ['create', 'delete', 'read', 'update'],
  'notification-policy': ['create', 'delete', 'list', 'read', 'update'],
  'preheat-policy': ['create', 'delete', 'list', 'read', 'update'],
  project: ['delete', 'read', 'update'],
  robot: ['create', 'delete', 'list', 'read', 'update'],
  scanner: ['create', 'read'],
}

/** Reads the trail and who could do what; pulls nothing and changes nothing. */
const AUDITOR: Actions = {
  access: ['read'],
  log: ['list'],
  member: ['list', 'read'],
  project: ['read'],
}

/** What each role of a project may do there. `access` and `history` are Varve's own. */
export const ROLES: Readonly<Record<Role, Actions>> = {
  projectAdmin: PROJECT_ADMIN,
  maintainer: MAINTAINER,
  developer: DEVELOPER,
  guest: GUEST,
  limitedGuest: LIMITED_GUEST,
  auditor: AUDITOR,
}

/** What everybody may do in a public project, also without a login. */
export const PUBLIC: Actions = {
  accessory: ['list'],
  artifact: ['list', 'read'],
  'artifact-addition': ['read'],
  label: ['list', 'read'],
  project: ['read'],
  repository: ['list', 'pull'],
  scan: ['read'],
  scanner: ['read'],
  tag: ['list'],
}

/** What an auditor of the whole system may do, in every project. */
export const SYSTEM_AUDITOR: Actions = { ...AUDITOR, user: ['list', 'read'], 'user-group': ['list', 'read'], robot: ['list', 'read'], configuration: ['read'] }

/** The tables of one version. */
export type Matrix = {
  readonly version: number
  readonly roles: Readonly<Record<Role, Actions>>
  readonly everybody: Actions
  readonly systemAuditor: Actions
}

/** The tables that requests are answered by. */
export const MATRIX: Matrix = { version: ROLES_VERSION, roles: ROLES, everybody: PUBLIC, systemAuditor: SYSTEM_AUDITOR }

/** The tables of a version that the log names. Where the tables change, those of before are kept here. */
export function matrixOf(version: number): Matrix {
  if (version === MATRIX.version) return MATRIX
  throw new Error(`this release does not know version ${version} of the table of roles`)
}

/** What a robot may be given in a project. */
export const ROBOT_IN_PROJECT: Actions = {
  accessory: ['list'],
  artifact: ['create', 'delete', 'list', 'read'],
  'artifact-addition': ['read'],
  'artifact-label': ['create', 'delete'],
  'export-cve': ['create', 'read'],
  'immutable-tag': ['create', 'delete', 'list', 'update'],
  label: ['create', 'delete', 'list', 'read', 'update'],
  log: ['list'],
  member: ['create', 'delete', 'list', 'read', 'update'],
  metadata: ['create', 'delete', 'list', 'read', 'update'],
  'notification-policy': ['create', 'delete', 'list', 'read', 'update'],
  'preheat-policy': ['create', 'delete', 'list', 'read', 'update'],
  project: ['delete', 'read', 'update'],
  quota: ['read'],
  repository: ['delete', 'list', 'pull', 'push', 'read', 'update'],
  robot: ['create', 'delete', 'list', 'read'],
  sbom: ['create', 'read', 'stop'],
  scan: ['create', 'read', 'stop'],
  scanner: ['create', 'read'],
  tag: ['create', 'delete', 'list'],
  'tag-retention': ['create', 'delete', 'list', 'read', 'update'],
}

/** What a robot of the system may be given besides, on the registry itself. */
export const ROBOT_IN_SYSTEM: Actions = {
  'audit-log': ['list'],
  catalog: ['read'],
  'garbage-collection': ['create', 'list', 'read', 'stop', 'update'],
  'jobservice-monitor': ['list', 'stop'],
  label: ['create', 'delete', 'read', 'update'],
  'ldap-user': ['create', 'list'],
  'preheat-instance': ['create', 'delete', 'list', 'read', 'update'],
  project: ['create', 'list'],
  'purge-audit': ['create', 'list', 'read', 'stop', 'update'],
  quota: ['list', 'read', 'update'],
  registry: ['create', 'delete', 'list', 'read', 'update'],
  replication: ['create', 'list', 'read'],
  'replication-adapter': ['list'],
  'replication-policy': ['create', 'delete', 'list', 'read', 'update'],
  robot: ['create', 'delete', 'list', 'read'],
  'scan-all': ['create', 'read', 'stop', 'update'],
  scanner: ['create', 'delete', 'list', 'read', 'update'],
  'security-hub': ['list', 'read'],
  'system-volumes': ['read'],
  user: ['create', 'delete', 'list', 'read', 'update'],
  'user-group': ['create', 'delete', 'list', 'read', 'update'],
}

export function allows(actions: Actions, { resource, action }: Permission): boolean {
  return Object.hasOwn(actions, resource) && actions[resource]?.includes(action) === true
}
