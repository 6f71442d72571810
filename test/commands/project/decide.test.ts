import { describe, it } from '@jest/globals'
import { decide, evolve } from '../../../src/commands/project/decide.ts'
import type { CreateProject, ProjectsState } from '../../../src/commands/project/decide.ts'
import { ProjectCreated } from '../../../src/commands/project/events.ts'
import type { ProjectFact } from '../../../src/commands/project/events.ts'
import type { Event } from '../../../src/ports/event.ts'
import { specification } from '../../support/specification.ts'

const [first, second, owner] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222', '33333333-3333-4333-8333-333333333333']

const initial: ProjectsState = { revision: -1, lastNumber: 0, named: undefined }
const projects = specification<ProjectsState, CreateProject, ProjectFact>({
  initial,
  evolve: (state, event: Event<ProjectFact>, command) => evolve(state, event, command.name),
  decide,
})
const create = (id: string, name: string): CreateProject => ({ id, name, owner, visibility: 'private' })
const created = (project: string, number: number, name: string) => ProjectCreated({ project, number, name, visibility: 'private', owner })

describe('creating a project', () => {
  it('gives the first the number 1', () => {
    projects.given().when(create(first, 'library')).then(created(first, 1, 'library'))
  })

  it('goes on from the last number', () => {
    projects.given(created(first, 7, 'library')).when(create(second, 'team')).then(created(second, 8, 'team'))
  })

  it('does nothing under a name that is taken', () => {
    projects.given(created(first, 1, 'team')).when(create(second, 'team')).then()
    projects.given(created(first, 1, 'team'), created(second, 2, 'other')).when(create(second, 'team')).then()
  })
})
