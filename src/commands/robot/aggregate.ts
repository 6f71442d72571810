import { isDeepStrictEqual } from 'node:util'
import type { DecisionRows } from '../../ports/decision-rows.ts'
import type { Event } from '../../ports/event.ts'
import type { Sealed } from '../../ports/key-store.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import { reject } from '../rejection.ts'
import type { Rejection } from '../rejection.ts'
import { RobotChanged, RobotCreated, RobotDeleted, RobotSecretRefreshed } from './events.ts'
import type { RobotFact, RobotTerms, RobotsFact } from './events.ts'

export type RobotsCommand =
  | {
      readonly type: 'CreateRobot'
      readonly robot: string
      readonly name: string
      readonly project?: string
      readonly verifier: Sealed
      readonly terms: RobotTerms
    }
  | { readonly type: 'DeleteRobot'; readonly robot: string }

/** The set of robots, as far as one command goes: those that live, of those that it names. */
export type RobotsState = {
  readonly revision: number
  readonly lastNumber: number
  readonly robots: ReadonlyMap<string, { readonly name: string; readonly project: string | undefined }>
}

/** The set of robots, whose names are unique by project. */
export function robotsAggregate(rows: DecisionRows): Aggregate<RobotsState, RobotsCommand, RobotsFact, Rejection> {
  return {
    stream: streams.robots,
    async load(command) {
      const found = await rows.robots(command.type === 'CreateRobot' ? { name: command.name, project: command.project } : { id: command.robot })
      return { ...found, robots: new Map(found.robots.map(({ id, name, project }) => [id, { name, project }])) }
    },
    evolve: evolveRobots,
    decide: decideRobots,
  }
}

export function evolveRobots(state: RobotsState, event: Event<RobotsFact>): RobotsState {
  const robots = new Map(state.robots)
  const next = { ...state, revision: state.revision + 1, robots }
  if (event.type === 'RobotDeleted') {
    robots.delete(event.data.robot)
    return next
  }
  const { robot, name, project, number } = event.data
  robots.set(robot, { name, project })
  return { ...next, lastNumber: number }
}

export function decideRobots(state: RobotsState, command: RobotsCommand): readonly RobotsFact[] | Rejection {
  if (command.type === 'DeleteRobot') return state.robots.has(command.robot) ? [RobotDeleted({ robot: command.robot })] : unknownRobot
  const { robot, name, project, verifier, terms } = command
  const taken = [...state.robots.values()].some((other) => other.name === name && other.project === project)
  if (taken) return reject('CONFLICT', 'a robot of this name is there')
  return [RobotCreated({ robot, number: state.lastNumber + 1, name, ...(project === undefined ? {} : { project }), verifier, ...terms })]
}

const unknownRobot = reject('NOT_FOUND', 'there is no such robot')

/** What is not among `changes` stays as it is when it is decided, whoever changed it meanwhile. */
export type RobotCommand = { readonly type: 'ChangeRobot'; readonly changes: Partial<RobotTerms> } | { readonly type: 'RefreshSecret'; readonly verifier: Sealed }

export type RobotState = { readonly revision: number; readonly terms: RobotTerms | undefined }

/** One robot's own life. Its terms are undefined where it is not there. */
export function robotAggregate(rows: DecisionRows, id: string): Aggregate<RobotState, RobotCommand, RobotFact, Rejection> {
  return {
    stream: streams.robot(id),
    load: () => rows.robot(id),
    evolve: evolveRobot,
    decide: decideRobot,
  }
}

export function evolveRobot(state: RobotState, event: Event<RobotFact>): RobotState {
  return { revision: state.revision + 1, terms: event.type === 'RobotChanged' ? event.data.to : state.terms }
}

export function decideRobot({ terms }: RobotState, command: RobotCommand): readonly RobotFact[] | Rejection {
  if (terms === undefined) return unknownRobot
  if (command.type === 'RefreshSecret') return [RobotSecretRefreshed({ verifier: command.verifier })]
  const to = { ...terms, ...command.changes }
  return isDeepStrictEqual(terms, to) ? [] : [RobotChanged({ from: terms, to })]
}
