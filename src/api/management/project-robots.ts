import { Type } from '@sinclair/typebox'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import type { RobotEntry } from '../../projections/people-queries.ts'
import { listParameters } from './listing.ts'
import type { Management } from './management.ts'
import { Number32, line } from './people.ts'
import { changeRobot, createRobot, deleteRobot, listRobots, robotFor } from './robot-actions.ts'
import { Access, Description, RobotAnswer, RobotCreatedAnswer, RobotName, expiryAfter, expiryAt, permissionsToGive, robotAnswer } from './robot-terms.ts'
import { ProjectPath, apiError, projectOf, route } from './route.ts'
import type { ApiError, Asked, Route } from './route.ts'

/*
 * The way to a project's robots that Harbor had first and still serves.
 */

const RobotPath = Type.Object({ ...ProjectPath.properties, robot_id: Number32 })

function needs(action: string): Route['needs'] {
  return { project: { resource: 'robot', action } }
}

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/robots',
    summary: 'The robots of a project.',
    tag: 'robotv1',
    needs: needs('list'),
    params: ProjectPath,
    query: Type.Object(listParameters),
    answers: { 200: Type.Array(RobotAnswer) },
    handle: (management, asked, { query }) => listRobots(management, asked, projectOf(asked), query),
  }),

  route({
    method: 'post',
    path: '/projects/{project_name_or_id}/robots',
    summary: 'Makes a robot of a project. Its secret is answered this once.',
    tag: 'robotv1',
    needs: needs('create'),
    params: ProjectPath,
    body: Type.Object({
      name: RobotName,
      description: Type.Optional(Description),
      expires_at: Type.Optional(Type.Integer({ description: 'Seconds since 1970; -1: never; 0 or nothing: as the registry is set' })),
      access: Type.Array(Type.Object({ ...Access.properties, resource: line(128, 1) }), { minItems: 1, maxItems: 1_000 }),
    }),
    answers: { 201: RobotCreatedAnswer },
    async handle(management, asked, { body: { name, description = '', expires_at: seconds = 0, access: listed } }) {
      const project = projectOf(asked)
      const access = listed.map(({ resource, action }) => ({ resource: relativeTo(project, resource), action }))
      const permissions = await permissionsToGive(management.identity, asked.subject, [{ kind: 'project', namespace: project.name, access }])
      if ('refused' in permissions) return permissions
      const now = management.now()
      const expiresAt = seconds === 0 ? expiryAfter((await management.settings()).robot_token_duration, now) : expiryAt(seconds, now)
      if (expiresAt !== null && typeof expiresAt !== 'string') return expiresAt
      return createRobot(management, asked, { name, project, secret: undefined, terms: { description, disabled: false, expiresAt, permissions, workloads: [] } })
    },
  }),

  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/robots/{robot_id}',
    summary: 'A robot of a project.',
    tag: 'robotv1',
    needs: needs('read'),
    params: RobotPath,
    answers: { 200: RobotAnswer },
    async handle(management, asked, { params }) {
      const robot = await robotHere(management, asked, params.robot_id, 'read')
      if ('refused' in robot) return robot
      return { status: 200, body: await robotAnswer(management.identity, (await management.settings()).robot_name_prefix, robot) }
    },
  }),

  route({
    method: 'put',
    path: '/projects/{project_name_or_id}/robots/{robot_id}',
    summary: 'Disables a robot of a project or lets it log in again, and changes its description.',
    tag: 'robotv1',
    needs: needs('update'),
    params: RobotPath,
    body: Type.Object({ description: Type.Optional(Description), disable: Type.Optional(Type.Boolean()) }),
    answers: { 200: undefined },
    async handle(management, asked, { params, body: { description = '', disable: disabled = false } }) {
      const robot = await robotHere(management, asked, params.robot_id, 'update')
      return 'refused' in robot ? robot : changeRobot(management, asked, robot, { description, disabled })
    },
  }),

  route({
    method: 'delete',
    path: '/projects/{project_name_or_id}/robots/{robot_id}',
    summary: 'Deletes a robot of a project.',
    tag: 'robotv1',
    needs: needs('delete'),
    params: RobotPath,
    answers: { 200: undefined },
    async handle(management, asked, { params }) {
      const robot = await robotHere(management, asked, params.robot_id, 'delete')
      return 'refused' in robot ? robot : deleteRobot(management, asked, robot)
    },
  }),
]

/** A robot of another project is not there. */
async function robotHere(management: Management, asked: Asked, number: number, action: string): Promise<RobotEntry | ApiError> {
  const robot = await robotFor(management, asked, number, action)
  return 'refused' in robot || robot.project === projectOf(asked).id ? robot : apiError(404, 'NOT_FOUND', 'there is no such robot')
}

/** A resource as this way names them: `/project/<number>/repository`, or `repository` alone. */
function relativeTo({ number }: ProjectRow, resource: string): string {
  const own = `/project/${number}/`
  return resource.startsWith(own) ? resource.slice(own.length) : resource
}
