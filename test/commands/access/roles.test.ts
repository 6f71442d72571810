import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { PUBLIC, ROBOT_IN_PROJECT, ROBOT_IN_SYSTEM, ROLES, SYSTEM_AUDITOR, allows } from '../../../src/commands/access/roles.ts'

/*
 * Varve's tables against Harbor's, read off its source (roles.json, beside this file), cell by cell and both ways. What Varve has
 * besides is listed here and nowhere else.
 */

type Actions = Readonly<Record<string, readonly string[]>>
type Harbor = {
  readonly roles: Readonly<Record<'projectAdmin' | 'maintainer' | 'developer' | 'guest' | 'limitedGuest', Actions>>
  readonly public: Actions
  readonly 'robot, project level: what it may be given': Actions
  readonly 'robot, system level: what it may be given besides': Actions
}

const harbor = JSON.parse(readFileSync(join(import.meta.dirname, 'roles.json'), 'utf8')) as Harbor

/** What each role may do in Varve alone: `access` asks who could do what, `history` is the past of a repository. */
const BESIDES: Readonly<Record<keyof Harbor['roles'], readonly string[]>> = {
  projectAdmin: ['access:read', 'history:read'],
  maintainer: ['history:read'],
  developer: ['history:read'],
  guest: [],
  limitedGuest: [],
}

/** The role that Harbor has not: the whole of it, in a project and system-wide. */
const AUDITOR = ['access:read', 'log:list', 'member:list', 'member:read', 'project:read']
const AUDITOR_OF_SYSTEM = [...AUDITOR, 'configuration:read', 'robot:list', 'robot:read', 'user-group:list', 'user-group:read', 'user:list', 'user:read']

function cells(actions: Actions): string[] {
  return Object.entries(actions).flatMap(([resource, names]) => names.map((action) => `${resource}:${action}`)).sort()
}

const tables: readonly { readonly name: string; readonly varve: Actions; readonly expected: readonly string[] }[] = [
  ...(['projectAdmin', 'maintainer', 'developer', 'guest', 'limitedGuest'] as const).map((role) => ({
    name: role, varve: ROLES[role], expected: [...cells(harbor.roles[role]), ...BESIDES[role]],
  })),
  { name: 'auditor', varve: ROLES.auditor, expected: AUDITOR },
  { name: 'auditor of the system', varve: SYSTEM_AUDITOR, expected: AUDITOR_OF_SYSTEM },
  { name: 'public', varve: PUBLIC, expected: cells(harbor.public) },
  { name: 'robot in a project', varve: ROBOT_IN_PROJECT, expected: cells(harbor['robot, project level: what it may be given']) },
  { name: 'robot of the system', varve: ROBOT_IN_SYSTEM, expected: cells(harbor['robot, system level: what it may be given besides']) },
]

/** Every resource with every action that any table names: most are allowed to nobody. */
const everything = tables.flatMap(({ expected }) => expected).map((cell) => cell.split(':'))
const resources = [...new Set(everything.map(([resource = '']) => resource))]
const actions = [...new Set(everything.map(([, action = '']) => action))]

describe('the tables of roles', () => {
  it('are of the roles that Harbor has, and of the auditor', () => {
    expect(Object.keys(ROLES).sort()).toEqual([...Object.keys(harbor.roles), 'auditor'].sort())
  })

  it.each(tables)('$name: every cell is Harbor\'s, or listed here', ({ varve, expected }) => {
    expect(cells(varve)).toEqual([...expected].sort())
    expect(new Set(expected).size).toBe(expected.length)
  })

  it.each(tables)('$name: is allowed what its table says, and nothing else', ({ varve, expected }) => {
    const asked = resources.flatMap((resource) => actions.map((action) => ({ resource, action })))
    expect(asked.length).toBeGreaterThan(300)
    const allowed = asked.filter((permission) => allows(varve, permission)).map(({ resource, action }) => `${resource}:${action}`)
    expect(allowed.sort()).toEqual([...expected].sort())
  })

  it.each(['constructor', '__proto__', 'toString'])('allow nothing on a resource named %s', (resource) => {
    for (const { varve } of tables) expect(allows(varve, { resource, action: 'name' })).toBe(false)
  })

  it('rest on no file of the tests', () => {
    const src = join(import.meta.dirname, '../../../src')
    const naming = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && readFileSync(join(src, file), 'utf8').includes('roles.json'))
    expect(naming).toEqual([])
  })
})
