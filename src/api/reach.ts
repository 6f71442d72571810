import { mayInProject, memberKeys } from '../commands/access/rights.ts'
import type { Subject } from '../commands/access/rights.ts'
import type { IdentityQueries, ProjectRow } from '../projections/identity-queries.ts'
import type { Reach } from '../projections/project-queries.ts'

/** The projects that somebody who is no administrator could see at most; what they may do in each is asked of each. */
export function projectsInReach(queries: Pick<IdentityQueries, 'projectsInReach'>, subject: Subject): Promise<ProjectRow[]> {
  switch (subject.kind) {
    case 'anonymous':
      return queries.projectsInReach([], [])
    case 'user':
      return queries.projectsInReach(memberKeys(subject), [])
    case 'robot':
      return queries.projectsInReach([], subject.permissions.flatMap((each) => (each.kind === 'project' ? [each.project] : [])))
  }
}

const READ = { resource: 'project', action: 'read' }

/** The projects that somebody may see in lists, beside the public ones. Every role of a project may read it. */
export function reachOf(subject: Subject): Reach {
  const mayReadOther = (id: string): boolean => mayInProject(subject, { id, visibility: 'private', members: new Map() }, READ)
  if (mayReadOther('')) return 'all'
  const named = subject.kind === 'robot' ? subject.permissions.flatMap((each) => (each.kind === 'project' ? [each.project] : [])) : []
  return { members: memberKeys(subject), projects: named.filter(mayReadOther) }
}
