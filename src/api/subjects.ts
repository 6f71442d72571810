import type { Subject } from '../commands/access/rights.ts'
import type { RobotRow, UserRow } from '../projections/identity-queries.ts'
import type { IdentityReader } from '../projections/identity-reader.ts'
import { workloadCredential } from './login.ts'
import type { Login } from './login.ts'

/** Who somebody that once logged in is now; `ended` where what they came by has, `unavailable` where their directory cannot be asked. */
export type SubjectOf = (login: Login) => Promise<Subject | 'ended' | 'unavailable'>

export function createSubjects(options: {
  readonly identity: IdentityReader
  /** Whether somebody of an outside directory may still log in there; true at once where that was seen a while ago. */
  readonly stillThere: (user: UserRow) => true | Promise<'there' | 'gone' | 'unavailable'>
  readonly now: () => Date
}): SubjectOf {
  const { identity, stillThere, now } = options

  async function userOf({ id, credential }: Login): Promise<Subject | 'ended' | 'unavailable'> {
    let user = await identity.user(id)
    if (user?.source === 'ldap') {
      const there = stillThere(user)
      const state = there === true ? 'there' : await there
      if (state !== 'there') return state === 'gone' ? 'ended' : state
      if (there !== true) user = await identity.user(id)
    }
    if (user === undefined || (user.credential !== credential && user.cliCredential !== credential)) return 'ended'
    return { kind: 'user', id, name: user.name, administrator: user.administrator, auditor: user.auditor, groups: user.groups }
  }

  async function robotOf({ id, credential }: Login): Promise<Subject | 'ended'> {
    const robot = await identity.robot(id)
    if (robot === undefined || !restsOn(robot, credential) || robot.disabled || (robot.expiresAt !== undefined && robot.expiresAt <= now())) return 'ended'
    return { kind: 'robot', id, name: robot.name, permissions: robot.permissions }
  }

  return (login) => {
    switch (login.kind) {
      case 'user':
        return userOf(login)
      case 'robot':
        return robotOf(login)
      case 'anonymous':
        return Promise.resolve('ended')
    }
  }
}

/** Whether a login is still good: by the robot's secret, or by one of the rules that it has now. */
function restsOn(robot: RobotRow, credential: string): boolean {
  return robot.credential === credential || robot.workloads.some((rule) => workloadCredential(robot, rule) === credential)
}
