import type { LoginWay } from '../commands/activity/events.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { AccountFault } from '../identity/ldap/active-directory.ts'
import type { createCredentialCheck, NotLetIn } from '../identity/passwords/check.ts'
import type { Verdict, Verifiers } from '../identity/passwords/verifiers.ts'
import { ruleKey } from '../identity/workload/rule.ts'
import type { WorkloadRule } from '../identity/workload/rule.ts'
import type { Workload } from '../identity/workload/verifier.ts'
import type { RobotRow, UserRow } from '../projections/identity-queries.ts'
import type { IdentityReader } from '../projections/identity-reader.ts'
import type { SettingsReader } from './settings.ts'

/**
 * Somebody who logged in, and what that rests on: the event that set the secret, and of a workload the rule besides. Another one there
 * means that this login has ended. `endsAt`: when the workload's own token does, which nothing that comes of it may outlive.
 */
export type Login = { readonly kind: 'user' | 'robot' | 'anonymous'; readonly id: string; readonly credential: string; readonly endsAt?: Date }

/**
 * `by`: how they were verified. `fresh` until that is on record, which `recorded` says: whoever is remembered from a minute before is no
 * new login.
 */
export type LoggedIn = { readonly login: Login; readonly by: LoginWay; readonly fresh: boolean; readonly recorded?: (() => void) | undefined }

/**
 * `account`: why the directory bars it, for the trail alone. `wait`: after failures, or while too many passwords are checked. `directory`: it
 * could not be asked.
 */
export type LoginRefusal =
  | { readonly refused: true; readonly reason: 'credentials'; readonly account?: AccountFault }
  | { readonly refused: true; readonly reason: 'wait'; readonly seconds: number }
  | { readonly refused: true; readonly reason: 'directory' }

/** Where somebody whose password is not kept here logs in; `nobody` where there is no such place. */
export type OutsideLogin = (name: string, secret: string) => Promise<Login | 'wrong' | AccountFault | 'unavailable' | 'nobody'>

/** `address` is the caller's, as client-address.ts writes it. */
export type LogIn = (name: string, secret: string, address: string) => Promise<LoggedIn | LoginRefusal>

type Verified = Login & { readonly by: LoginWay }
type Check = ReturnType<typeof createCredentialCheck<Verified>>

const MAX_NAME_LENGTH = 255
/** A secret of Varve's own is never so (RFC 7515 §3.1). */
const ID_TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/

const WRONG: LoginRefusal = { refused: true, reason: 'credentials' }

/**
 * Logs in by name and secret: users by their password or the secret for the command line, robots by theirs. A name that nobody has
 * costs what a known one does, and is answered as a wrong password is.
 */
export function createLogin(options: {
  readonly identity: IdentityReader
  readonly sealer: Sealer
  readonly verifiers: Verifiers
  readonly check: Check
  readonly outside: OutsideLogin
  /** By which rule of a robot a token of an OIDC issuer lets in, and until when; undefined where it does not. */
  readonly workload: (robot: RobotRow, token: string) => Promise<Pick<Workload<WorkloadRule>, 'rule' | 'endsAt'> | undefined>
  readonly settings: SettingsReader
  /** Stores a password's verifier anew: it came from a scheme of the past. */
  readonly upgrade: (user: string, password: string) => void
  readonly now: () => Date
}): LogIn {
  const { identity, sealer, verifiers, check, outside, workload, settings, upgrade, now } = options
  const onRecord = new WeakSet<Verified>()

  async function verify(sealed: UserRow['verifier'], secret: string): Promise<Verdict | 'busy'> {
    const verifier = sealed && (await sealer.open(sealed))
    return verifier === undefined ? 'wrong' : verifiers.verify(verifier, secret)
  }

  async function robotNamed(name: string): Promise<RobotRow | undefined> {
    const plus = name.indexOf('+')
    if (plus < 0) return identity.robotByName(name, undefined)
    const project = await identity.project(name.slice(0, plus))
    return project && identity.robotByName(name.slice(plus + 1), project.id)
  }

  async function verifyRobot(name: string, secret: string): Promise<Verified | 'wrong' | 'busy'> {
    const robot = await robotNamed(name)
    const good = robot !== undefined && !robot.disabled && (robot.expiresAt === undefined || robot.expiresAt > now())
    if (good && robot.workloads.length > 0 && ID_TOKEN.test(secret)) {
      const found = await workload(robot, secret)
      if (found === undefined) return 'wrong'
      return { kind: 'robot', id: robot.id, credential: workloadCredential(robot, found.rule), endsAt: found.endsAt, by: 'workload-token' }
    }
    const verdict = await verify(good ? robot.verifier : undefined, secret)
    if (verdict === 'busy') return verdict
    return robot === undefined || verdict === 'wrong' ? 'wrong' : { kind: 'robot', id: robot.id, credential: robot.credential, by: 'robot-secret' }
  }

  async function verifyUser(name: string, secret: string): Promise<Verified | NotLetIn> {
    const user = await identity.userByName(name)
    if (user?.cliVerifier !== undefined && user.cliCredential !== undefined && (await verify(user.cliVerifier, secret)) === 'right') {
      return { kind: 'user', id: user.id, credential: user.cliCredential, by: 'cli-secret' }
    }
    if (user === undefined || user.source === 'ldap') {
      const login = await outside(name, secret)
      if (login === 'nobody') return verifiers.verifyNobody(secret)
      return typeof login === 'string' ? login : { ...login, by: 'directory' }
    }
    if (user.verifier === undefined) return verifiers.verifyNobody(secret)
    const verdict = await verify(user.verifier, secret)
    if (verdict === 'busy' || verdict === 'wrong') return verdict
    if (verdict === 'right, make anew') upgrade(user.id, secret)
    return { kind: 'user', id: user.id, credential: user.credential, by: 'password' }
  }

  return async function logIn(name, secret, address) {
    const lookUp = async (): Promise<Verified | NotLetIn> => {
      // What no name can be is not looked up: Postgres takes no such text.
      if (!isName(name)) return verifiers.verifyNobody(secret)
      const { robot_name_prefix: prefix } = await settings()
      return name.startsWith(prefix) ? verifyRobot(name.slice(prefix.length), secret) : verifyUser(name, secret)
    }
    const checked = await check({ account: name, secret, address }, lookUp)
    if ('subject' in checked) {
      const { subject } = checked
      // It is remembered for longer than its token may live.
      if (subject.endsAt !== undefined && subject.endsAt <= now()) return WRONG
      return { login: subject, by: subject.by, fresh: !onRecord.has(subject), recorded: () => onRecord.add(subject) }
    }
    const { status } = checked.failed
    switch (status) {
      case 'wrong':
        return WRONG
      case 'disabled':
      case 'expired':
      case 'locked':
      case 'password-expired':
        return { ...WRONG, account: status }
      case 'unavailable':
        return { refused: true, reason: 'directory' }
      case 'busy':
        return { refused: true, reason: 'wait', seconds: 1 }
      case 'wait':
        return { refused: true, reason: 'wait', seconds: checked.failed.seconds }
    }
  }
}

/** What the login of a workload rests on: the robot as it is told from one of before, and the rule that let it in. */
export function workloadCredential({ credential }: Pick<RobotRow, 'credential'>, rule: WorkloadRule): string {
  return `${credential} ${ruleKey(rule)}`
}

/** Whether somebody could have this name. */
function isName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && text.isWellFormed() && !/\p{Cc}/u.test(text)
}
