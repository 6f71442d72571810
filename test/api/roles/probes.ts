import { expect } from '@jest/globals'
import { CALLERS, PROJECTS, mayIn, permission } from './callers.ts'
import type { Project } from './callers.ts'
import { told } from './world.ts'
import type { Sent, World } from './world.ts'

/** A question to a door in a project, what it needs, and how it answers. What was let through fails by what is wrong in it, where it would change something. */
export type Probe = {
  /** Method and path, with what it names in braces: the project, and what `named` says. */
  readonly door: string
  /** `resource:action` in the project. */
  readonly needs: string
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
  const { door, needs, sees, passes, hidden = '404', afterLogin = false, named, sent, tell = told } = probe
  const [method = '', template = ''] = door.split(' ')
  const [found, wanted]: [string[], string[]] = [[], []]
  for (const project of PROJECTS) {
    for (const caller of CALLERS) {
      const names: Readonly<Record<string, string>> = { project, ...(await named?.(world, project)) }
      const path = template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => names[name] ?? '')
      const answer = await tell(await world.ask(caller, project, method, path, sent?.(world, project)))
      const isLetIn = !(afterLogin && caller === 'nobody')
      const may = isLetIn && mayIn(project, caller, permission(needs))
      const refused = caller === 'nobody' ? '401' : mayIn(project, caller, permission(sees)) ? '403' : hidden
      found.push(`${project} ${caller}: ${[passes, hidden].includes(answer) ? answer : answer.slice(0, 3)}`)
      wanted.push(`${project} ${caller}: ${may ? passes : refused}`)
    }
  }
  expect(found).toEqual(wanted)
}

/** A door without what its query asks, and without the names of its parameters. */
export function bare(door: string): string {
  return (door.split('?')[0] ?? '').replaceAll(/\{\w+\}/g, '{}')
}
