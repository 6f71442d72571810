import { createSecretKey } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { KeyObject } from 'node:crypto'
import { createLdapLogin } from '../api/ldap-login.ts'
import { createLogin } from '../api/login.ts'
import type { Login } from '../api/login.ts'
import { createOutsideUsers } from '../api/outside-user.ts'
import { createPasswordUpgrade } from '../api/password-upgrade.ts'
import { createSubjects } from '../api/subjects.ts'
import type { Opened } from '../cli/opened.ts'
import type { LoginWay } from '../commands/activity/events.ts'
import type { CommandContext } from '../commands/handle.ts'
import { createCredentialCheck } from '../identity/passwords/check.ts'
import type { CheckFailure } from '../identity/passwords/check.ts'
import { createDelays } from '../identity/passwords/delays.ts'
import { createCredentialMemory } from '../identity/passwords/remembered.ts'
import { createSlots, passwordThreads } from '../identity/passwords/slots.ts'
import { createVerifiers } from '../identity/passwords/verifiers.ts'
import { createWorkloadVerifier } from '../identity/workload/verifier.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { IdentityQueries } from '../projections/identity-queries.ts'
import { openOutbound } from './outbound.ts'
import type { StartedRegistry } from './registry.ts'

/** As few as Node has by itself: scripts/run.js gives it more, another start may not. */
const LIBUV_THREADS = 4
/** Some thirty milliseconds each. */
const MOST_PASSWORDS_WAITING = 100

export type Logins = Awaited<ReturnType<typeof createLogins>>

/** What lets users, robots and workloads in by name and secret, and says who somebody that it let in is now. */
export async function createLogins({ config, logger, sealer }: Opened, { registry, readModels }: StartedRegistry, system: CommandContext) {
  const { identity, queries, handle, decisionRows, visible, settings, now } = registry
  const slots = createSlots({ most: passwordThreads(LIBUV_THREADS, availableParallelism()), mostWaiting: MOST_PASSWORDS_WAITING })
  const verifiers = createVerifiers({ secretKey: await verifierKey(queries(), sealer), slots })
  const remembered = createCredentialMemory<Login & { readonly by: LoginWay }, CheckFailure>({ now: Date.now })
  readModels.onSubjectChanged((id) => {
    remembered.drop(id)
  })
  const users = createOutsideUsers({ identity, handle, decisionRows, visible, sealer, context: system })
  const ldap = createLdapLogin({ settings, identity, users, now: Date.now, logger })
  const outbound = await openOutbound(config)
  const workloads = createWorkloadVerifier({ outbound })
  const logIn = createLogin({
    identity,
    sealer,
    verifiers,
    settings,
    now,
    outside: (name, secret) => ldap.logIn(name, secret),
    workload: async (robot, token) => {
      const found = await workloads.verify(token, robot.workloads)
      return found.kind === 'workload' ? found : undefined
    },
    check: createCredentialCheck(remembered, createDelays({ now: Date.now })),
    upgrade: createPasswordUpgrade({ verifiers, sealer, handle, decisionRows, context: system, logger }),
  })
  const subjectOf = createSubjects({ identity, stillThere: (user) => ldap.stillThere(user), now })
  return { logIn, subjectOf, verifiers, users, ldap, outbound }
}

/** The key of the keyed hashes that machine-made secrets are kept as. */
async function verifierKey(queries: Pick<IdentityQueries, 'verifierKey'>, sealer: Sealer): Promise<KeyObject> {
  const sealed = await queries.verifierKey()
  const key = sealed && (await sealer.open(sealed))
  if (key === undefined) throw new Error('the log has no key for the secrets of machines')
  return createSecretKey(key, 'base64')
}
