import { ProjectCreated } from './events.ts'
import type { ProjectFact } from './events.ts'
import type { ProjectsRows } from '../../ports/decision-rows.ts'
import type { Event } from '../../ports/event.ts'

/** The set of projects, as far as one name goes. */
export type ProjectsState = ProjectsRows

export type CreateProject = { readonly id: string; readonly name: string; readonly owner: string; readonly visibility: 'public' | 'private' }

export function evolve(state: ProjectsState, event: Event<ProjectFact>, name: string): ProjectsState {
  return {
    revision: state.revision + 1,
    lastNumber: event.data.number,
    named: event.data.name === name ? event.data.project : state.named,
  }
}

/** Creates a project under a name that is free; nothing to do where the name stands for one already. */
export function decide(state: ProjectsState, command: CreateProject): readonly ProjectFact[] {
  if (state.named !== undefined) return []
  const { id, name, owner, visibility } = command
  return [ProjectCreated({ project: id, number: state.lastNumber + 1, name, visibility, owner })]
}
