import { Type } from '@sinclair/typebox'
import { WorkloadRule } from '../../commands/robot/events.ts'
import { problemOf } from '../../identity/workload/rule.ts'
import { Number32 } from '../management/people.ts'
import { changeRobot, robotFor } from '../management/robot-actions.ts'
import { apiError, route } from '../management/route.ts'
import type { Route } from '../management/route.ts'

const RobotPath = Type.Object({ robot_id: Number32 })
const Workloads = Type.Array(WorkloadRule, { maxItems: 100 })

/** Which workloads log in as a robot: a CI job or a Kubernetes service account, with a token of its issuer for the password. */
export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/robots/{robot_id}/workloads',
    summary: 'The rules by which tokens of an OIDC issuer log in as a robot.',
    tag: 'robot',
    needs: 'identified',
    params: RobotPath,
    answers: { 200: Workloads },
    async handle(management, asked, { params }) {
      const robot = await robotFor(management, asked, params.robot_id, 'read')
      return 'refused' in robot ? robot : { status: 200, body: robot.workloads }
    },
  }),

  route({
    method: 'put',
    path: '/robots/{robot_id}/workloads',
    summary: 'Sets the rules by which tokens of an OIDC issuer log in as a robot; none: only its secret does.',
    tag: 'robot',
    needs: 'identified',
    params: RobotPath,
    body: Workloads,
    answers: { 200: undefined },
    async handle(management, asked, { params, body }) {
      const problem = body.map(problemOf).find((each) => each !== undefined)
      if (problem !== undefined) return apiError(400, 'BAD_REQUEST', problem)
      const robot = await robotFor(management, asked, params.robot_id, 'update')
      return 'refused' in robot ? robot : changeRobot(management, asked, robot, { workloads: body })
    },
  }),
]
