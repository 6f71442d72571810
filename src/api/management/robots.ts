import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import type { Subject } from '../../commands/access/rights.ts'
import type { RobotPermission } from '../../commands/robot/events.ts'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import { listParameters, parseTerms, valueAsked } from './listing.ts'
import type { Management } from './management.ts'
import { Number32, Secret } from './people.ts'
import { refusedInProject, refusedInSystem } from './refusals.ts'
import { changeRobot, createRobot, deleteRobot, listRobots, refreshSecret, robotFor } from './robot-actions.ts'
import { Description, Duration, Level, RobotAnswer, RobotCreatedAnswer, RobotName, RobotPermissionBody, durationOf, expiryAfter, permissionsToGive, robotAnswer, robotName } from './robot-terms.ts'
import { apiError, route } from './route.ts'
import type { ApiError, Route } from './route.ts'

const RobotPath = Type.Object({ robot_id: Number32 })
const Permissions = Type.Array(RobotPermissionBody, { minItems: 1, maxItems: 1_000 })

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/robots',
    summary: 'The robots of the system, or with q=Level=project,ProjectID=<number> those of a project.',
    tag: 'robot',
    needs: 'identified',
    query: Type.Object(listParameters),
    answers: { 200: Type.Array(RobotAnswer) },
    async handle(management, asked, { query }) {
      const terms = parseTerms(query.q ?? '')
      if ('refused' in terms) return terms
      const [level = 'system', number] = [valueAsked(terms, 'Level'), valueAsked(terms, 'ProjectID')]
      const permission = { resource: 'robot', action: 'list' }
      if (level === 'system') return refusedInSystem(asked.subject, permission) ?? listRobots(management, asked, undefined, query)
      if (level !== 'project' || !/^[0-9]{1,9}$/.test(number ?? '')) return apiError(400, 'BAD_REQUEST', 'Level is system, or project with the number of one as ProjectID')
      const project = await management.identity.projectByNumber(Number(number))
      return refusedInProject(asked.subject, project, permission) ?? listRobots(management, asked, project, query)
    },
  }),

  route({
    method: 'post',
    path: '/robots',
    summary: 'Makes a robot. Its secret is answered this once; without one given, it is made here.',
    tag: 'robot',
    needs: 'identified',
    body: Type.Object({
      name: RobotName,
      description: Type.Optional(Description),
      secret: Type.Optional(Secret),
      level: Level,
      disable: Type.Optional(Type.Boolean()),
      duration: Type.Optional(Duration),
      permissions: Permissions,
    }),
    answers: { 201: RobotCreatedAnswer },
    async handle(management, asked, { body: { name, description = '', secret, level, disable: disabled = false, duration = 0, permissions } }) {
      const given = await givenAt(management, asked.subject, level, 'create', permissions)
      if ('refused' in given) return given
      const expiresAt = expiryAfter(await daysOf(management, duration), management.now())
      if (expiresAt !== null && typeof expiresAt !== 'string') return expiresAt
      return createRobot(management, asked, { name, project: given.project, secret, terms: { description, disabled, expiresAt, permissions: given.permissions, workloads: [] } })
    },
  }),

  route({
    method: 'get',
    path: '/robots/{robot_id}',
    summary: 'A robot.',
    tag: 'robot',
    needs: 'identified',
    params: RobotPath,
    answers: { 200: RobotAnswer },
    async handle(management, asked, { params }) {
      const robot = await robotFor(management, asked, params.robot_id, 'read')
      if ('refused' in robot) return robot
      return { status: 200, body: await robotAnswer(management.identity, (await management.settings()).robot_name_prefix, robot) }
    },
  }),

  route({
    method: 'put',
    path: '/robots/{robot_id}',
    summary: 'Changes a robot: what it may do, whether it is disabled, its description, and its duration, which counts from its making on. Name and level stay.',
    tag: 'robot',
    needs: 'identified',
    params: RobotPath,
    body: Type.Object({
      name: Type.Optional(Type.String({ maxLength: 1_024 })),
      level: Type.Optional(Level),
      description: Type.Optional(Description),
      disable: Type.Optional(Type.Boolean()),
      duration: Type.Optional(Type.Union([Duration, Type.Null()])),
      permissions: Permissions,
    }),
    answers: { 200: undefined },
    async handle(management, asked, { params, body }) {
      const robot = await robotFor(management, asked, params.robot_id, 'update')
      if ('refused' in robot) return robot
      const level = robot.project === undefined ? 'system' : 'project'
      const { robot_name_prefix: prefix } = await management.settings()
      if ((body.level ?? level) !== level || (body.name ?? robotName(robot, prefix)) !== robotName(robot, prefix)) {
        return apiError(400, 'BAD_REQUEST', "a robot's name and level stay as they are")
      }
      const given = await givenAt(management, asked.subject, level, 'update', body.permissions)
      if ('refused' in given) return given
      if (given.project?.id !== robot.project) return apiError(400, 'BAD_REQUEST', 'a robot of a project has its permissions there')
      const current = durationOf(robot)
      const days = body.duration === undefined || body.duration === null ? current : await daysOf(management, body.duration)
      const expiresAt = days === current ? undefined : expiryAfter(days, robot.createdAt)
      if (typeof expiresAt === 'object' && expiresAt !== null) return expiresAt
      // As with Harbor, whose clients leave out what is empty or false.
      const changes = { description: body.description ?? '', disabled: body.disable ?? false, permissions: given.permissions, ...(expiresAt === undefined ? {} : { expiresAt }) }
      return changeRobot(management, asked, robot, changes)
    },
  }),

  route({
    method: 'patch',
    path: '/robots/{robot_id}',
    summary: 'Gives a robot another secret. Without one given, it is made here and answered, this once.',
    tag: 'robot',
    needs: 'identified',
    params: RobotPath,
    body: Type.Object({ secret: Type.Optional(Secret) }),
    answers: { 200: Type.Object({ secret: Type.Optional(Type.String()) }) },
    async handle(management, asked, { params, body }) {
      const robot = await robotFor(management, asked, params.robot_id, 'update')
      return 'refused' in robot ? robot : refreshSecret(management, asked, robot, body.secret)
    },
  }),

  route({
    method: 'delete',
    path: '/robots/{robot_id}',
    summary: 'Deletes a robot.',
    tag: 'robot',
    needs: 'identified',
    params: RobotPath,
    answers: { 200: undefined },
    async handle(management, asked, { params }) {
      const robot = await robotFor(management, asked, params.robot_id, 'delete')
      return 'refused' in robot ? robot : deleteRobot(management, asked, robot)
    },
  }),
]

/** What a robot of a level is to be given, and the project that it is to belong to, where whoever asks may do that to robots there. */
async function givenAt(
  { identity }: Management,
  giver: Subject,
  level: Static<typeof Level>,
  action: string,
  asked: readonly Static<typeof RobotPermissionBody>[],
): Promise<{ readonly permissions: RobotPermission[]; readonly project: ProjectRow | undefined } | ApiError> {
  const permission = { resource: 'robot', action }
  const [first] = asked
  const isProject = level === 'project'
  if (isProject && (asked.length > 1 || first?.kind !== 'project' || first.namespace === '*')) {
    return apiError(400, 'BAD_REQUEST', 'a robot of a project has permissions in that project alone')
  }
  const project = isProject ? await identity.project(first?.namespace ?? '') : undefined
  const refused = isProject ? refusedInProject(giver, project, permission) : refusedInSystem(giver, permission)
  if (refused !== undefined) return refused
  const permissions = await permissionsToGive(identity, giver, asked)
  return 'refused' in permissions ? permissions : { permissions, project }
}

/** 0: as the registry is set. */
async function daysOf({ settings }: Management, duration: number): Promise<number> {
  return duration === 0 ? (await settings()).robot_token_duration : duration
}
