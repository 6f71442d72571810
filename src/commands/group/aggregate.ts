import type { DecisionRows } from '../../ports/decision-rows.ts'
import type { Event } from '../../ports/event.ts'
import { groupKey } from '../../ports/same-name.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import { reject } from '../rejection.ts'
import type { Rejection } from '../rejection.ts'
import { GroupCreated, GroupDeleted, GroupRenamed } from './events.ts'
import type { GroupFact } from './events.ts'

/** How a group is told from others: LDAP's by its DN, a provider's by its name. */
export type NewGroup = { readonly id: string; readonly name: string } & ({ readonly source: 'ldap'; readonly dn: string } | { readonly source: 'oidc' })

export type GroupsCommand =
  /** `onlyNew`: those that are there already are left as they are, as at a login that shows many. */
  | { readonly type: 'CreateGroups'; readonly groups: readonly NewGroup[]; readonly onlyNew?: true }
  | { readonly type: 'RenameGroup'; readonly group: string; readonly name: string }
  | { readonly type: 'DeleteGroup'; readonly group: string }

export type GroupsState = {
  readonly revision: number
  readonly lastNumber: number
  /** Those that live, of those that the command names by id or key. */
  readonly groups: ReadonlyMap<string, { readonly key: string; readonly name: string }>
}

export function groupsAggregate(rows: DecisionRows): Aggregate<GroupsState, GroupsCommand, GroupFact, Rejection> {
  return {
    stream: streams.groups,
    async load(command) {
      const found = await rows.groups(namedIn(command))
      return { ...found, groups: new Map(found.groups.map(({ id, key, name }) => [id, { key, name }])) }
    },
    evolve,
    decide,
  }
}

function namedIn(command: GroupsCommand): Parameters<DecisionRows['groups']>[0] {
  switch (command.type) {
    case 'CreateGroups':
      return { ids: [], keys: command.groups.map(groupKey) }
    case 'RenameGroup':
      return { ids: [command.group], keys: [groupKey({ source: 'oidc', name: command.name })] }
    case 'DeleteGroup':
      return { ids: [command.group], keys: [] }
  }
}

export function evolve(state: GroupsState, event: Event<GroupFact>): GroupsState {
  const groups = new Map(state.groups)
  const next = { ...state, revision: state.revision + 1, groups }
  switch (event.type) {
    case 'GroupCreated':
      groups.set(event.data.group, { key: groupKey(event.data), name: event.data.name })
      return { ...next, lastNumber: event.data.number }
    case 'GroupRenamed': {
      const known = groups.get(event.data.group)
      const key = known?.key.startsWith('oidc:') === true ? groupKey({ source: 'oidc', name: event.data.to }) : known?.key
      if (key !== undefined) groups.set(event.data.group, { key, name: event.data.to })
      return next
    }
    case 'GroupDeleted':
      groups.delete(event.data.group)
      return next
  }
}

export function decide(state: GroupsState, command: GroupsCommand): readonly GroupFact[] | Rejection {
  if (command.type === 'CreateGroups') {
    const taken = new Set([...state.groups.values()].map(({ key }) => key))
    const fresh = command.groups.filter((group) => {
      const isNew = !taken.has(groupKey(group))
      taken.add(groupKey(group))
      return isNew
    })
    if (command.onlyNew !== true && fresh.length < command.groups.length) return reject('CONFLICT', 'this group is there')
    return fresh.map(({ id, name, ...where }, index) => GroupCreated({ group: id, number: state.lastNumber + 1 + index, name, ...where }))
  }
  const group = state.groups.get(command.group)
  if (group === undefined) return reject('NOT_FOUND', 'there is no such group')
  if (command.type === 'DeleteGroup') return [GroupDeleted({ group: command.group })]
  const key = groupKey({ source: 'oidc', name: command.name })
  const taken = group.key.startsWith('oidc:') && [...state.groups].some(([id, other]) => id !== command.group && other.key === key)
  if (taken) return reject('CONFLICT', 'this group is there')
  return group.name === command.name ? [] : [GroupRenamed({ group: command.group, from: group.name, to: command.name })]
}
