import { describe, it } from '@jest/globals'
import { decideRobot, decideRobots, evolveRobot, evolveRobots } from '../../../src/commands/robot/aggregate.ts'
import type { RobotCommand, RobotState, RobotsCommand, RobotsState } from '../../../src/commands/robot/aggregate.ts'
import { RobotChanged, RobotCreated, RobotDeleted, RobotSecretRefreshed } from '../../../src/commands/robot/events.ts'
import type { RobotFact, RobotTerms, RobotsFact } from '../../../src/commands/robot/events.ts'
import type { Sealed } from '../../../src/ports/key-store.ts'
import { specification } from '../../support/specification.ts'

const [first, second, project, elsewhere] = [
  '11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222', '33333333-3333-4333-8333-333333333333', '44444444-4444-4444-8444-444444444444',
]
const [secret, newSecret] = ['secret' as Sealed, 'new-secret' as Sealed]
const terms: RobotTerms = {
  description: 'pulls', disabled: false, expiresAt: '2027-01-01T00:00:00.000Z', permissions: [{ kind: 'project', project, access: [{ resource: 'repository', action: 'pull' }] }], workloads: [],
}

const robots = specification<RobotsState, RobotsCommand, RobotsFact>({
  initial: { revision: -1, lastNumber: 0, robots: new Map() }, evolve: evolveRobots, decide: decideRobots,
})
const create = (robot: string, name: string, where?: string): RobotsCommand => ({
  type: 'CreateRobot', robot, name, ...(where === undefined ? {} : { project: where }), verifier: secret, terms,
})
const created = (robot: string, number: number, name: string, where?: string) =>
  RobotCreated({ robot, number, name, ...(where === undefined ? {} : { project: where }), verifier: secret, ...terms })

describe('the set of robots', () => {
  it('numbers them on, whoever is gone', () => {
    robots.given().when(create(first, 'ci')).then(created(first, 1, 'ci'))
    robots.given(created(first, 3, 'ci'), RobotDeleted({ robot: first })).when(create(second, 'ci')).then(created(second, 4, 'ci'))
  })

  it('has each name once in a project, and once in the system', () => {
    robots.given(created(first, 1, 'ci', project)).when(create(second, 'ci', project)).thenRefused('CONFLICT')
    robots.given(created(first, 1, 'ci')).when(create(second, 'ci')).thenRefused('CONFLICT')
    robots.given(created(first, 1, 'ci', project)).when(create(second, 'ci', elsewhere)).then(created(second, 2, 'ci', elsewhere))
    robots.given(created(first, 1, 'ci', project)).when(create(second, 'ci')).then(created(second, 2, 'ci'))
  })

  it('lets one go, once', () => {
    robots.given(created(first, 1, 'ci')).when({ type: 'DeleteRobot', robot: first }).then(RobotDeleted({ robot: first }))
    robots.given(created(first, 1, 'ci'), RobotDeleted({ robot: first })).when({ type: 'DeleteRobot', robot: first }).thenRefused('NOT_FOUND')
  })
})

describe('one robot', () => {
  const robot = specification<RobotState, RobotCommand, RobotFact>({ initial: { revision: -1, terms }, evolve: evolveRobot, decide: decideRobot })
  const disabled = { ...terms, disabled: true }

  it('changes, and says what it was; the same in another order of keys is the same', () => {
    robot.given().when({ type: 'ChangeRobot', changes: disabled }).then(RobotChanged({ from: terms, to: disabled }))
    robot.given(RobotChanged({ from: terms, to: disabled })).when({ type: 'ChangeRobot', changes: disabled }).then()
    robot.given(RobotChanged({ from: terms, to: disabled })).when({ type: 'ChangeRobot', changes: terms }).then(RobotChanged({ from: disabled, to: terms }))
    const { workloads, permissions, ...rest } = terms
    robot.given().when({ type: 'ChangeRobot', changes: { workloads, ...rest, permissions } }).then()
  })

  it('keeps what somebody else changed meanwhile', () => {
    robot.given(RobotChanged({ from: terms, to: disabled })).when({ type: 'ChangeRobot', changes: { description: 'pushes' } }).then(RobotChanged({ from: disabled, to: { ...disabled, description: 'pushes' } }))
  })

  it('gets a new secret each time', () => {
    robot.given(RobotSecretRefreshed({ verifier: secret })).when({ type: 'RefreshSecret', verifier: newSecret }).then(RobotSecretRefreshed({ verifier: newSecret }))
  })

  it('that is not there takes no command', () => {
    const gone = specification<RobotState, RobotCommand, RobotFact>({ initial: { revision: -1, terms: undefined }, evolve: evolveRobot, decide: decideRobot })
    gone.given().when({ type: 'ChangeRobot', changes: terms }).thenRefused('NOT_FOUND')
    gone.given().when({ type: 'RefreshSecret', verifier: secret }).thenRefused('NOT_FOUND')
  })
})
