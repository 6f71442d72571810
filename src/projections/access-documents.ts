import type { Action } from '../commands/access/rights.ts'
import type { CouldHave, GrantFound, Moment, Reached, Since, SubjectThen } from './access-queries.ts'

/** What every answer says of itself. `next`: where its next page goes on; undefined: this is the last one. */
export type AnswerHead = { readonly moment: Moment; readonly rolesVersion: number | undefined; readonly next: string | undefined }

const headOf = ({ moment, rolesVersion }: AnswerHead) => ({ position: moment.position, time: moment.time.toISOString(), rolesVersion: rolesVersion ?? null })
const nextOf = ({ next }: AnswerHead) => (next === undefined ? {} : { next })

/** Who could do something in a repository, as JSON. */
export function whoDocument(
  head: AnswerHead,
  asked: { readonly repository: string; readonly project: { readonly id: string; readonly name: string }; readonly action: Action },
  found: readonly CouldHave[],
) {
  const subjects = found.map(({ kind, id, name, project, grants }) => ({ kind, ...(kind === 'anybody' ? {} : { id }), name, project, grants: grants.map(grantDocument) }))
  return { ...headOf(head), ...asked, subjects, ...nextOf(head) }
}

/** What somebody could reach, as JSON. */
export function reachDocument(head: AnswerHead, subject: SubjectThen, found: readonly Reached[]) {
  return { ...headOf(head), subject, projects: found.map(({ id, name, grants }) => ({ id, name, grants: grants.map(grantDocument) })), ...nextOf(head) }
}

function grantDocument({ grant, actions, since, group, expiresAt }: GrantFound) {
  const { by } = grant
  return {
    by,
    visibility: by === 'visibility' ? grant.visibility : undefined,
    role: by === 'member' || by === 'group' ? grant.role : undefined,
    group: by === 'group' && group !== undefined ? { id: grant.group, name: group.name, shown: sinceDocument(group.shown) } : undefined,
    permission: by === 'permission' ? grant.permission : undefined,
    expiresAt: expiresAt?.toISOString(),
    actions,
    since: sinceDocument(since),
  }
}

function sinceDocument({ time, ...rest }: Since) {
  return { ...rest, time: time.toISOString() }
}
