import type { DecisionRows } from '../../ports/decision-rows.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import { decide, evolve } from './decide.ts'
import type { CreateProject, ProjectsState } from './decide.ts'
import type { ProjectFact } from './events.ts'

export function projectsAggregate(rows: DecisionRows): Aggregate<ProjectsState, CreateProject, ProjectFact> {
  return {
    stream: streams.projects,
    load: (command) => rows.projects(command.name),
    evolve: (state, event, command) => evolve(state, event, command.name),
    decide,
  }
}
