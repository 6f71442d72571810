import type { Rejection } from '../commands/rejection.ts'
import { projectsAggregate } from '../commands/project/aggregate.ts'
import { refusal } from '../oci/errors.ts'
import type { DecisionRows } from '../ports/decision-rows.ts'
import type { IdentityReader } from '../projections/identity-reader.ts'
import type { ProjectQueries } from '../projections/project-queries.ts'
import { perform } from './perform.ts'
import type { Registry } from './registry.ts'
import type { Requester } from './requester.ts'

/*
 * A project's end and what is pushed into it stand in different streams, and an append is guarded by one. So they meet in the stream
 * `projects`. A deletion is begun there, and looks for content once all that was appended before it can be read; a push that finds a
 * deletion begun, once its own append can be read, stops it there before it says that it is done. A push that the deletion could not
 * see comes after its beginning, and so sees it: one of the two finds that the other was faster.
 */

type Parts = Pick<Registry, 'handle' | 'visible'> & { readonly decisionRows: Pick<DecisionRows, 'projects'> }

/** The answer to what was pushed into a project that was deleted before it could be answered. */
export const projectEnded = refusal('NAME_UNKNOWN', 'the project was deleted meanwhile')

/** Whether a project that something was pushed into is there to hold it. `wasVisible`: that could be read before this was asked. */
export async function keepProject(
  parts: Parts & { readonly identity: Pick<IdentityReader, 'projectById'> },
  requester: Pick<Requester, 'command'>,
  id: string,
  wasVisible: boolean,
): Promise<boolean> {
  const project = await parts.identity.projectById(id)
  if (wasVisible && project?.deletion === undefined) return project !== undefined
  const { outcome } = await perform(parts, requester, projectsAggregate(parts.decisionRows), { type: 'StopDeletion', id })
  return !('refused' in outcome)
}

/** Deletes a project that holds no manifest: undefined where that is done. */
export async function endProject(
  parts: Parts & { readonly queries: () => Pick<ProjectQueries, 'holdsManifests'> },
  requester: Pick<Requester, 'command'>,
  id: string,
): Promise<'holds manifests' | Rejection | undefined> {
  const projects = projectsAggregate(parts.decisionRows)
  const holds = (): Promise<boolean> => parts.queries().holdsManifests(id)
  if (await holds()) return 'holds manifests'
  const begun = await perform(parts, requester, projects, { type: 'BeginDeletion', id })
  if ('refused' in begun.outcome) return begun.outcome
  if (!begun.visible) throw new DOMException('what was pushed before the deletion cannot be read yet', 'TimeoutError')
  if (await holds()) {
    await perform(parts, requester, projects, { type: 'StopDeletion', id })
    return 'holds manifests'
  }
  // One that began before and did not end is gone on with.
  const deletion = begun.outcome[0]?.id ?? begun.state.deletions.get(id)
  const { outcome } = await perform(parts, requester, projects, { type: 'DeleteProject', id, deletion })
  return 'refused' in outcome ? outcome : undefined
}
