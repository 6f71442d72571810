import { randomUUID } from 'node:crypto'
import { mayInProject, mayInSystem } from '../../commands/access/rights.ts'
import { robotAggregate, robotsAggregate } from '../../commands/robot/aggregate.ts'
import type { RobotTerms } from '../../commands/robot/events.ts'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import { robotColumns } from '../../projections/people-queries.ts'
import type { RobotEntry } from '../../projections/people-queries.ts'
import { carryOut } from './carry-out.ts'
import { listAsked, pageAnswer } from './listing.ts'
import type { Management } from './management.ts'
import { givenOrMade } from './people.ts'
import { forbidden } from './refusals.ts'
import { expirySeconds, robotAnswer, robotName } from './robot-terms.ts'
import { apiError, done, forWantOf, locationOf } from './route.ts'
import type { Answer, ApiError, Asked, Refused } from './route.ts'

const noSuchRobot = apiError(404, 'NOT_FOUND', 'there is no such robot')

/** A robot, for somebody who may do this to it. One that they may not see is answered as one that is not there. */
export async function robotFor({ queries, identity }: Management, { subject }: Pick<Asked, 'subject'>, number: number, action: string): Promise<RobotEntry | ApiError> {
  const robot = await queries().robotByNumber(number)
  if (robot === undefined) return noSuchRobot
  const project = robot.project === undefined ? undefined : await identity.projectById(robot.project)
  const may = (what: string): boolean => {
    const permission = { resource: 'robot', action: what }
    if (robot.project === undefined) return mayInSystem(subject, permission)
    return project !== undefined && mayInProject(subject, project, permission)
  }
  if (may(action)) return robot
  return forWantOf({ resource: 'robot', action }, may('read') ? forbidden : noSuchRobot, robot.project)
}

/** A page of the robots of a project, or of the system. */
export async function listRobots(management: Management, asked: Asked, project: ProjectRow | undefined, query: Parameters<typeof listAsked>[1]): Promise<Answer | ApiError> {
  const list = listAsked(robotColumns, query)
  if ('refused' in list) return list
  const { robot_name_prefix: prefix } = await management.settings()
  // Names are searched for as they are shown.
  const filters = list.filters.map((filter) => {
    const named = filter.by === robotColumns.name && (filter.match === 'equal' || filter.match === 'part') && String(filter.value).startsWith(prefix)
    return named ? { ...filter, value: String(filter.value).slice(prefix.length) } : filter
  })
  const { items, total } = await management.queries().robots(project?.id, { ...list, filters })
  const shown = await Promise.all(items.map((robot) => robotAnswer(management.identity, prefix, robot)))
  return pageAnswer(asked, list, { items: shown, total }, (robot) => robot)
}

/** Makes a robot. Its secret is in no other answer. */
export async function createRobot(
  management: Management,
  asked: Asked,
  robot: { readonly name: string; readonly project: ProjectRow | undefined; readonly secret: string | undefined; readonly terms: RobotTerms },
): Promise<Answer | Refused> {
  const { name, project, terms } = robot
  if (await outlastsGiver(management, asked, terms)) return forWantOf({ resource: 'robot', action: 'create' }, outlasting, project?.id)
  const made = await givenOrMade(management, robot.secret)
  if ('refused' in made) return made
  const outcome = await carryOut(management, asked, robotsAggregate(management.decisionRows), {
    type: 'CreateRobot', robot: randomUUID(), name, ...(project === undefined ? {} : { project: project.id }), verifier: made.verifier, terms,
  })
  if ('refused' in outcome) return outcome
  const [created] = outcome
  if (created?.type !== 'RobotCreated') throw new Error('a robot was created without an event')
  const { robot_name_prefix: prefix } = await management.settings()
  const { number, expiresAt } = created.data
  const body = {
    id: number,
    name: robotName({ name, projectName: project?.name }, prefix),
    secret: made.secret,
    creation_time: created.at,
    expires_at: expirySeconds(expiresAt === null ? undefined : new Date(expiresAt)),
  }
  return { status: 201, body, headers: locationOf(asked, number) }
}

const outlasting = apiError(403, 'FORBIDDEN', 'a robot makes none that lasts longer than itself: give it a duration that ends before')

/** Else a robot that is to end would go on by those that it made. */
async function outlastsGiver({ identity }: Management, { subject }: Asked, { expiresAt }: RobotTerms): Promise<boolean> {
  const end = subject.kind === 'robot' ? (await identity.robot(subject.id))?.expiresAt : undefined
  return end !== undefined && (expiresAt === null || new Date(expiresAt) > end)
}

/** Changes a robot's terms; those that are not given stay. */
export async function changeRobot(management: Management, asked: Asked, robot: RobotEntry, changes: Partial<RobotTerms>): Promise<Answer | Refused> {
  return done(await carryOut(management, asked, robotAggregate(management.decisionRows, robot.id), { type: 'ChangeRobot', changes }))
}

export async function deleteRobot(management: Management, asked: Asked, robot: RobotEntry): Promise<Answer | Refused> {
  return done(await carryOut(management, asked, robotsAggregate(management.decisionRows), { type: 'DeleteRobot', robot: robot.id }))
}

/** Gives a robot another secret, and ends what came of the old one. One that is made here is answered, this once. */
export async function refreshSecret(management: Management, asked: Asked, robot: RobotEntry, given: string | undefined): Promise<Answer | Refused> {
  const made = await givenOrMade(management, given)
  if ('refused' in made) return made
  const outcome = await carryOut(management, asked, robotAggregate(management.decisionRows, robot.id), { type: 'RefreshSecret', verifier: made.verifier })
  if ('refused' in outcome) return outcome
  return { status: 200, body: made.secret === given ? {} : { secret: made.secret } }
}
