import { memberKey } from '../project/events.ts'
import type { Role, Visibility } from '../project/events.ts'
import type { RobotPermission } from '../robot/events.ts'
import { NEEDED, mayInProject } from './rights.ts'
import type { Action, ProjectAccess, User } from './rights.ts'
import { MATRIX, matrixOf } from './roles.ts'
import type { Matrix, Permission } from './roles.ts'

/** What a user can be on the whole registry. */
export type Flag = 'administrator' | 'auditor'

/** One thing that may let somebody do something in a project. `member`: a role of one's own; `group`: one that a group has. */
export type Grant =
  | { readonly by: 'visibility'; readonly visibility: Visibility }
  | { readonly by: Flag }
  | { readonly by: 'member'; readonly role: Role }
  | { readonly by: 'group'; readonly group: string; readonly role: Role }
  | { readonly by: 'permission'; readonly permission: RobotPermission }

/** What of all grants lets somebody do one of some actions: what a query looks for. */
export type Sought = {
  readonly visibilities: readonly Visibility[]
  readonly flags: readonly Flag[]
  readonly roles: readonly Role[]
  /** A robot's permissions that name one of these. */
  readonly permissions: readonly Permission[]
  /** Those of the actions that a grant allows in a project. */
  readonly actionsBy: (grant: Grant, project: string) => readonly Action[]
}

const VISIBILITIES: readonly Visibility[] = ['public', 'private']
const FLAGS: readonly Flag[] = ['administrator', 'auditor']

/**
 * What lets somebody do one of `actions`, by the version of the tables that the log named then; undefined: it had named none yet, and the
 * first one is meant.
 */
export function soughtFor(actions: readonly Action[], version: number | undefined): Sought {
  const matrix = version === undefined ? MATRIX : matrixOf(version)
  const actionsBy = (grant: Grant, project: string): readonly Action[] => actions.filter((action) => lets(grant, project, NEEDED[action], matrix))
  const counts = (grant: Grant): boolean => actionsBy(grant, '').length > 0
  return {
    visibilities: VISIBILITIES.filter((visibility) => counts({ by: 'visibility', visibility })),
    flags: FLAGS.filter((by) => counts({ by })),
    roles: (Object.keys(matrix.roles) as Role[]).filter((role) => counts({ by: 'member', role })),
    permissions: actions.map((action) => NEEDED[action]),
    actionsBy,
  }
}

const NOBODY: User = { kind: 'user', id: '', name: '', administrator: false, auditor: false, groups: [] }

/** Whether a grant alone lets its holder do something in a project: `mayInProject` decides, of somebody who has nothing else. */
function lets(grant: Grant, project: string, permission: Permission, matrix: Matrix): boolean {
  const bare: ProjectAccess = { id: project, visibility: 'private', members: new Map() }
  switch (grant.by) {
    case 'visibility':
      return mayInProject({ kind: 'anonymous', id: '' }, { ...bare, visibility: grant.visibility }, permission, matrix)
    case 'administrator':
      return mayInProject({ ...NOBODY, administrator: true }, bare, permission, matrix)
    case 'auditor':
      return mayInProject({ ...NOBODY, auditor: true }, bare, permission, matrix)
    case 'member': {
      const members = new Map([[memberKey({ kind: 'user', id: NOBODY.id }), grant.role]])
      return mayInProject(NOBODY, { ...bare, members }, permission, matrix)
    }
    case 'group': {
      const members = new Map([[memberKey({ kind: 'group', id: grant.group }), grant.role]])
      return mayInProject({ ...NOBODY, groups: [grant.group] }, { ...bare, members }, permission, matrix)
    }
    case 'permission':
      return mayInProject({ kind: 'robot', id: '', name: '', permissions: [grant.permission] }, bare, permission, matrix)
  }
}
