import { reject } from '../rejection.ts'
import type { Rejection } from '../rejection.ts'
import {
  MemberAdded, MemberRemoved, MemberRoleChanged, MetadataChanged, ProjectCreated, ProjectDeleted, ProjectDeletionBegun, ProjectDeletionStopped,
  VisibilityChanged, memberKey,
} from './events.ts'
import type { Member, ProjectFact, ProjectsFact, Role, Visibility } from './events.ts'
import type { Event } from '../../ports/event.ts'

export type CreateProject = {
  readonly type: 'CreateProject'
  readonly id: string
  readonly name: string
  readonly owner?: string
  readonly visibility: Visibility
  /** Where it differs from none. */
  readonly metadata?: Readonly<Record<string, string>>
}
export type ProjectsCommand =
  | CreateProject
  | { readonly type: 'BeginDeletion' | 'StopDeletion'; readonly id: string }
  /** `deletion`: the event that began it. */
  | { readonly type: 'DeleteProject'; readonly id: string; readonly deletion: string | undefined }

/** The set of projects, as far as one command goes: the ids that live, of what it names by name or id. */
export type ProjectsState = {
  readonly revision: number
  readonly lastNumber: number
  readonly names: ReadonlyMap<string, string>
  /** The deletions that have begun and not ended: the id of the event, by project. */
  readonly deletions: ReadonlyMap<string, string>
}

export function evolveProjects(state: ProjectsState, event: Event<ProjectsFact>): ProjectsState {
  const [names, deletions] = [new Map(state.names), new Map(state.deletions)]
  const next = { ...state, revision: state.revision + 1, names, deletions }
  switch (event.type) {
    case 'ProjectCreated':
      names.set(event.data.project, event.data.name)
      return { ...next, lastNumber: event.data.number }
    case 'ProjectDeletionBegun':
      deletions.set(event.data.project, event.id)
      return next
    case 'ProjectDeletionStopped':
      deletions.delete(event.data.project)
      return next
    case 'ProjectDeleted':
      names.delete(event.data.project)
      deletions.delete(event.data.project)
      return next
  }
}

export function decideProjects(state: ProjectsState, command: ProjectsCommand): readonly ProjectsFact[] | Rejection {
  if (command.type !== 'CreateProject') return decideDeletion(state, command)
  const { id, name, owner, visibility, metadata } = command
  if (idOfName(state, name) !== undefined) return reject('CONFLICT', 'a project of this name is there')
  const more = { ...(owner === undefined ? {} : { owner }), ...(metadata === undefined ? {} : { metadata }) }
  return [ProjectCreated({ project: id, number: state.lastNumber + 1, name, visibility, ...more })]
}

function decideDeletion(state: ProjectsState, command: Exclude<ProjectsCommand, CreateProject>): readonly ProjectsFact[] | Rejection {
  const { id: project } = command
  if (!state.names.has(project)) return reject('NOT_FOUND', 'there is no such project')
  const begun = state.deletions.get(project)
  switch (command.type) {
    case 'BeginDeletion':
      return begun === undefined ? [ProjectDeletionBegun({ project })] : []
    case 'StopDeletion':
      return begun === undefined ? [] : [ProjectDeletionStopped({ project })]
    case 'DeleteProject':
      // Another one may have begun since, but what this one looked for it looked for before.
      if (begun === undefined || begun !== command.deletion) return reject('PRECONDITION', 'something was pushed into the project while it was to be deleted')
      return [ProjectDeleted({ project })]
  }
}

/** The project that has a name. */
export function idOfName({ names }: ProjectsState, name: string): string | undefined {
  for (const [id, taken] of names) if (taken === name) return id
  return undefined
}

export type ProjectCommand =
  /** All at once, or nothing: metadata by name, each once; null ends it. */
  | { readonly type: 'ChangeProject'; readonly visibility?: Visibility; readonly metadata?: Readonly<Record<string, string | null>> }
  | { readonly type: 'AddMember'; readonly member: Member; readonly role: Role }
  | { readonly type: 'ChangeMemberRole'; readonly member: Member; readonly role: Role }
  | { readonly type: 'RemoveMember'; readonly member: Member }

/** One project, as far as one command goes. */
export type ProjectState = {
  readonly revision: number
  readonly live: boolean
  readonly visibility: Visibility
  /** Of the members that the command names, by `memberKey`. */
  readonly members: ReadonlyMap<string, Role>
  readonly metadata: ReadonlyMap<string, string>
}

export function evolveProject(state: ProjectState, event: Event<ProjectFact>): ProjectState {
  const next = { ...state, revision: state.revision + 1 }
  const { data } = event
  switch (event.type) {
    case 'VisibilityChanged':
      return { ...next, visibility: event.data.to }
    case 'MetadataChanged': {
      const metadata = new Map(state.metadata)
      if (event.data.to === null) metadata.delete(event.data.name)
      else metadata.set(event.data.name, event.data.to)
      return { ...next, metadata }
    }
    case 'MemberAdded':
      return { ...next, members: new Map([...state.members, [memberKey(event.data.member), event.data.role]]) }
    case 'MemberRoleChanged':
      return { ...next, members: new Map([...state.members, [memberKey(event.data.member), event.data.to]]) }
    case 'MemberRemoved': {
      const members = new Map(state.members)
      members.delete(memberKey(event.data.member))
      return { ...next, members }
    }
    default:
      throw new Error(`a project's stream holds ${JSON.stringify(data)}`)
  }
}

export function decideProject(state: ProjectState, command: ProjectCommand): readonly ProjectFact[] | Rejection {
  if (!state.live) return reject('NOT_FOUND', 'there is no such project')
  switch (command.type) {
    case 'ChangeProject': {
      const { visibility = state.visibility, metadata = {} } = command
      const changes = Object.entries(metadata).flatMap(([name, to]) => {
        const from = state.metadata.get(name) ?? null
        return from === to ? [] : [MetadataChanged({ name, from, to })]
      })
      return visibility === state.visibility ? changes : [VisibilityChanged({ from: state.visibility, to: visibility }), ...changes]
    }
    case 'AddMember': {
      const { member, role } = command
      return state.members.has(memberKey(member)) ? reject('CONFLICT', 'is a member already') : [MemberAdded({ member, role })]
    }
    case 'ChangeMemberRole': {
      const { member, role } = command
      const from = state.members.get(memberKey(member))
      if (from === undefined) return notMember
      return from === role ? [] : [MemberRoleChanged({ member, from, to: role })]
    }
    case 'RemoveMember': {
      const role = state.members.get(memberKey(command.member))
      return role === undefined ? notMember : [MemberRemoved({ member: command.member, role })]
    }
  }
}

const notMember = reject('NOT_FOUND', 'is no member of this project')
