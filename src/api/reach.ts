import { memberKey } from '../commands/access/rights.ts'
import type { Subject } from '../commands/access/rights.ts'
import type { IdentityQueries, ProjectRow } from '../projections/identity-queries.ts'

/** The projects that somebody who is no administrator could see at most; what they may do in each is asked of each. */
export function projectsInReach(queries: Pick<IdentityQueries, 'projectsInReach'>, subject: Subject): Promise<ProjectRow[]> {
  switch (subject.kind) {
    case 'anonymous':
      return queries.projectsInReach([], [])
    case 'user': {
      const groups = subject.groups.map((id) => memberKey({ kind: 'group', id }))
      return queries.projectsInReach([memberKey({ kind: 'user', id: subject.id }), ...groups], [])
    }
    case 'robot':
      return queries.projectsInReach([], subject.permissions.flatMap((each) => (each.kind === 'project' ? [each.project] : [])))
  }
}
