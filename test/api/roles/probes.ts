import { expect } from '@jest/globals'
import { CALLERS, PROJECTS, mayIn, mayOnRegistry, permission } from './callers.ts'
import type { Project } from './callers.ts'
import { told } from './world.ts'
import type { Sent, World } from './world.ts'

/** A question to a door in a project, what it needs, and how it answers. What was let through fails by what is wrong in it, where it would change something. */
export type Probe = {
  /** Method and path, with what it names in braces: the project, and what `named` says. */
  readonly door: string
  /** `resource:action` in the project. */
  readonly needs: string
  /** The same on the registry itself, where that lets through too. */
  readonly orOnRegistry?: string
  /** What somebody must be allowed to be told that they may not; to others it is as if there were nothing. */
  readonly sees: string
  /** Status and code for those who may. */
  readonly passes: string
  /** The same for those who may not see it, where that is not 404. */
  readonly hidden?: string
  /** It is for those who log in, also where a project is public. */
  readonly afterLogin?: boolean
  /** What the path names, made for each question where it is used up. */
  readonly named?: (world: World, project: Project) => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>
  readonly sent?: (world: World, project: Project) => Sent
  readonly tell?: (response: Response) => Promise<string>
}

/** Asks as everybody in both projects, and compares with the tables. */
export async function expectAnswersOf(world: World, probe: Probe): Promise<void> {
  const { door, needs, orOnRegistry, sees, passes, hidden = '404', afterLogin = false, named, sent, tell = told } = probe
  const [found, wanted]: [string[], string[]] = [[], []]
  for (const project of PROJECTS) {
    for (const caller of CALLERS) {
      const [method, path] = filled(door, { project, ...(await named?.(world, project)) })
      const answer = await tell(await world.ask(caller, project, method, path, sent?.(world, project)))
      const isLetIn = !(afterLogin && caller === 'nobody')
      const mayAnywhere = orOnRegistry !== undefined && mayOnRegistry(caller, permission(orOnRegistry))
      const may = isLetIn && (mayAnywhere || mayIn(project, caller, permission(needs)))
      const refused = caller === 'nobody' ? '401' : mayIn(project, caller, permission(sees)) ? '403' : hidden
      found.push(`${project} ${caller}: ${[passes, hidden].includes(answer) ? answer : answer.slice(0, 3)}`)
      wanted.push(`${project} ${caller}: ${may ? passes : refused}`)
    }
  }
  expect(found).toEqual(wanted)
}

/** A question about the registry itself, or about what is of no project: who is let through, and how it answers them and others. */
export type RegistryProbe = {
  readonly door: string
  readonly who: (caller: string) => boolean
  readonly passes: string
  /** The status for those who are not let through but log in, where it is not 403 for all of them. */
  readonly refused?: (caller: string) => string
  readonly named?: (world: World) => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>
  readonly body?: unknown
}

/** Asks as everybody; the robots that each project has are those of the private one. */
export async function expectOnRegistry(world: World, probe: RegistryProbe): Promise<void> {
  const { door, who, passes, refused = () => '403', named, body } = probe
  const [found, wanted]: [string[], string[]] = [[], []]
  for (const caller of CALLERS) {
    const [method, path] = filled(door, (await named?.(world)) ?? {})
    const answer = await told(await world.ask(caller, 'private', method, path, body === undefined ? {} : { body: JSON.stringify(body) }))
    found.push(`${caller}: ${answer === passes ? answer : answer.slice(0, 3)}`)
    wanted.push(`${caller}: ${who(caller) ? passes : caller === 'nobody' ? '401' : refused(caller)}`)
  }
  expect(found).toEqual(wanted)
}

export const everybody = (): boolean => true
export const whoeverLogsIn = (caller: string): boolean => caller !== 'nobody'
export const administrators = (caller: string): boolean => caller === 'administrator'
/** Those to whom the tables give `resource:action` on the registry itself. */
export const those = (needs: string) => (caller: string): boolean => mayOnRegistry(caller, permission(needs))

/** Method and path of a door, with what it names. */
function filled(door: string, names: Readonly<Record<string, string>>): [method: string, path: string] {
  const [method = '', template = ''] = door.split(' ')
  return [method, template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => names[name] ?? '')]
}

/** A door without what its query asks, and without the names of its parameters. */
export function bare(door: string): string {
  return (door.split('?')[0] ?? '').replaceAll(/\{\w+\}/g, '{}')
}
