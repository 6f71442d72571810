import { Type } from '@sinclair/typebox'
import { mayInProject, mayInSystem, rolesIn } from '../../commands/access/rights.ts'
import type { Subject } from '../../commands/access/rights.ts'
import { PUBLIC, ROBOT_IN_PROJECT, ROBOT_IN_SYSTEM, ROLES, SYSTEM_AUDITOR } from '../../commands/access/roles.ts'
import type { Permission } from '../../commands/access/roles.ts'
import type { IdentityReader } from '../../projections/identity-reader.ts'
import { projectsInReach } from '../reach.ts'
import { forbidden } from './refusals.ts'
import { forWantOf, route } from './route.ts'
import type { Route } from './route.ts'

const PermissionAnswer = Type.Object({ resource: Type.String(), action: Type.String() })

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/permissions',
    summary: 'What robots can be given: by administrators, and by those who administer a project.',
    tag: 'permissions',
    needs: 'identified',
    answers: { 200: Type.Object({ system: Type.Optional(Type.Array(PermissionAnswer)), project: Type.Array(PermissionAnswer) }) },
    async handle({ queries }, { subject }) {
      const project = permissionsOf(ROBOT_IN_PROJECT)
      const beyond = forWantOf({ resource: 'permission', action: 'list' }, forbidden)
      if (subject.kind !== 'user') return beyond
      if (subject.administrator) return { status: 200, body: { system: permissionsOf(ROBOT_IN_SYSTEM), project } }
      const administers = (await projectsInReach(queries(), subject)).some((each) => rolesIn(subject, each).includes('projectAdmin'))
      return administers ? { status: 200, body: { project } } : beyond
    },
  }),
]

type Actions = Readonly<Record<string, readonly string[]>>

function permissionsOf(...tables: readonly Actions[]): Permission[] {
  const all = new Map(tables.flatMap((table) => Object.entries(table)).flatMap(([resource, actions]) => actions.map((action) => [`${resource} ${action}`, { resource, action }])))
  return [...all.values()]
}

const IN_PROJECT = permissionsOf(PUBLIC, ...Object.values(ROLES), ROBOT_IN_PROJECT)
const IN_SYSTEM = permissionsOf(ROBOT_IN_SYSTEM, SYSTEM_AUDITOR)

/** What somebody may do in a scope: `/system`, or `/project/<number>`; the resource is undefined for the scope itself. Nothing in any other. */
export async function permissionsIn(
  identity: Pick<IdentityReader, 'projectByNumber'>,
  subject: Subject,
  scope: string,
): Promise<{ readonly resource: string | undefined; readonly action: string }[]> {
  if (scope === '/system') return IN_SYSTEM.filter((permission) => mayInSystem(subject, permission))
  const number = Number(/^\/project\/([0-9]{1,10})$/.exec(scope)?.[1] ?? 0)
  const project = number > 0 && number < 2 ** 31 ? await identity.projectByNumber(number) : undefined
  if (project === undefined) return []
  return IN_PROJECT.filter((permission) => mayInProject(subject, project, permission)).map(({ resource, action }) => ({
    resource: resource === 'project' ? undefined : resource,
    action,
  }))
}
