import type { DecisionRows } from '../../ports/decision-rows.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import type { Rejection } from '../rejection.ts'
import { decideProject, decideProjects, evolveProject, evolveProjects } from './decide.ts'
import type { ProjectCommand, ProjectState, ProjectsCommand, ProjectsState } from './decide.ts'
import { memberKey } from './events.ts'
import type { ProjectFact, ProjectsFact, Role } from './events.ts'

/** The set of projects, whose names are unique. */
export function projectsAggregate(rows: Pick<DecisionRows, 'projects'>): Aggregate<ProjectsState, ProjectsCommand, ProjectsFact, Rejection> {
  return {
    stream: streams.projects,
    load: (command) => rows.projects(command.type === 'CreateProject' ? { name: command.name } : { id: command.id }),
    evolve: evolveProjects,
    decide: decideProjects,
  }
}

/** One project's own life: visibility, members, metadata. */
export function projectAggregate(rows: DecisionRows, id: string): Aggregate<ProjectState, ProjectCommand, ProjectFact, Rejection> {
  return {
    stream: streams.project(id),
    async load(command) {
      const found = await rows.project(id, 'member' in command ? [memberKey(command.member)] : [])
      return { ...found, members: new Map(found.members.map(({ member, role }) => [member, role as Role])) }
    },
    evolve: evolveProject,
    decide: decideProject,
  }
}
