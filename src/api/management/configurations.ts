import { Type } from '@sinclair/typebox'
import { settingsAggregate } from '../../commands/settings/aggregate.ts'
import type { SettingChange } from '../../commands/settings/aggregate.ts'
import { faultOfSetting } from '../../commands/settings/check.ts'
import { SETTINGS, isSecret, isSettingName } from '../../commands/settings/known.ts'
import type { SettingName, SettingValues } from '../../commands/settings/known.ts'
import { problemOf } from '../../identity/oidc/settings.ts'
import { SECRETS } from '../../ports/key-store.ts'
import { folded } from '../../ports/same-name.ts'
import { oidcSettings } from '../oidc.ts'
import { carryOut } from './carry-out.ts'
import type { Management } from './management.ts'
import { apiError, done, route } from './route.ts'
import type { Answer, ApiError, Route } from './route.ts'

/**
 * What Harbor can be told beside these, and what that is where it has no effect: Varve does not have it, so it is shown as that and can
 * be set to nothing else. A client that sends back all that it read goes through; nothing looks done that is not.
 */
const WITHOUT_EFFECT: Readonly<Record<string, string | number | boolean>> = {
  audit_log_forward_endpoint: '',
  banner_message: '',
  disabled_audit_log_event_types: '',
  http_authproxy_admin_groups: '',
  http_authproxy_admin_usernames: '',
  http_authproxy_endpoint: '',
  http_authproxy_server_certificate: '',
  http_authproxy_skip_search: false,
  http_authproxy_tokenreview_endpoint: '',
  http_authproxy_verify_cert: true,
  ldap_group_attach_parallel: false,
  notification_enable: false,
  quota_per_project_enable: false,
  read_only: false,
  scanner_skip_update_pulltime: false,
  skip_audit_log_database: false,
  storage_per_project: -1,
  uaa_client_id: '',
  uaa_client_secret: '',
  uaa_endpoint: '',
  uaa_verify_cert: true,
}

/** Of them, the one that is no answer's. */
const NEVER_SHOWN = 'uaa_client_secret'

const names = Object.keys(SETTINGS).filter(isSettingName)

type Known = string | number | boolean

const schemaOf = (value: Known) => (typeof value === 'string' ? Type.String() : typeof value === 'number' ? Type.Integer() : Type.Boolean())
const defaultOf = (name: SettingName): Known | undefined => {
  const value: unknown = SETTINGS[name]
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined
}

const shown: readonly (readonly [string, Known])[] = [
  ...names.flatMap((name) => {
    const value = defaultOf(name)
    return value === undefined ? [] : [[name, value] as const]
  }),
  ...Object.entries(WITHOUT_EFFECT).filter(([name]) => name !== NEVER_SHOWN),
]

const Configurations = Type.Object(
  Object.fromEntries(shown.map(([name, value]) => [name, Type.Object({ value: schemaOf(value), editable: Type.Boolean() })])),
)

const accepted: readonly (readonly [string, Known])[] = [...names.map((name) => [name, defaultOf(name) ?? ''] as const), ...Object.entries(WITHOUT_EFFECT)]

/** Names beside these are refused by the handler, which says it in words. */
const Changes = Type.Object(Object.fromEntries(accepted.map(([name, value]) => [name, Type.Optional(Type.Union([schemaOf(value), Type.Null()]))])))

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/configurations',
    summary: 'All settings but the secret ones.',
    tag: 'configure',
    needs: { system: { resource: 'configuration', action: 'read' } },
    answers: { 200: Configurations },
    handle: shownSettings,
  }),
  route({
    method: 'get',
    path: '/internalconfig',
    summary: 'The same. In Harbor it is for its own parts, and has secrets in it; here there are no such parts.',
    tag: 'configure',
    needs: { system: { resource: 'configuration', action: 'read' } },
    answers: { 200: Configurations },
    handle: shownSettings,
  }),
  route({
    method: 'put',
    path: '/configurations',
    summary: 'Changes settings, all that are given or none.',
    tag: 'configure',
    needs: { system: { resource: 'configuration', action: 'update' } },
    body: Changes,
    answers: { 200: undefined },
    async handle(management, asked, { body }) {
      const changes: SettingChange[] = []
      for (const [name, value] of Object.entries(body)) {
        if (value === null) continue
        const change = await changeOf(management, name, value)
        if (change === undefined) continue
        if ('refused' in change) return change
        changes.push(change)
      }
      const fault = await providerFault(management, body)
      if (fault !== undefined) return fault
      return done(await carryOut(management, asked, settingsAggregate(management.decisionRows), { type: 'ChangeSettings', changes }))
    },
  }),
]

async function shownSettings(management: Management): Promise<Answer> {
  const values: Readonly<Record<string, unknown>> = await management.settings()
  const usersOnly = !(await management.queries().hasOtherUsers())
  const entries = shown.map(([name, otherwise]) => {
    const editable = isSettingName(name) && (name !== 'auth_mode' || usersOnly)
    return [name, { value: isSettingName(name) ? values[name] : otherwise, editable }] as const
  })
  return { status: 200, body: Object.fromEntries(entries) }
}

/** What a name and value ask for; undefined: what is so for good. */
async function changeOf(management: Management, name: string, value: unknown): Promise<SettingChange | ApiError | undefined> {
  if (!isSettingName(name)) {
    if (!Object.hasOwn(WITHOUT_EFFECT, name)) return apiError(400, 'BAD_REQUEST', `there is no setting called ${name}`)
    return WITHOUT_EFFECT[name] === value ? undefined : apiError(400, 'BAD_REQUEST', `${name} has no effect here: it is taken only as ${JSON.stringify(WITHOUT_EFFECT[name])}`)
  }
  const fault = faultOfSetting(name, value) ?? (await conflictOf(management, name, value))
  if (fault !== undefined) return apiError(400, 'BAD_REQUEST', `${name} ${fault}`)
  if (isSecret(name)) return { name, sealed: value === '' ? null : await management.sealer.seal(SECRETS, String(value)) }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? { name, value } : undefined
}

/** What would be wrong with the provider's settings together; while it has no endpoint, they may come one after another. */
async function providerFault({ settings }: Management, changes: Readonly<Record<string, unknown>>): Promise<ApiError | undefined> {
  const given = Object.entries(changes).filter(([, value]) => value !== null)
  if (!given.some(([name]) => name.startsWith('oidc_'))) return undefined
  // Each was checked to be of its setting's kind.
  const values = { ...(await settings()), ...Object.fromEntries(given) } as SettingValues
  const fault = values.oidc_endpoint === '' ? undefined : problemOf(oidcSettings(values))
  return fault === undefined ? undefined : apiError(400, 'BAD_REQUEST', fault)
}

/** What of the registry as it is stands against a value. */
async function conflictOf({ settings, queries }: Management, name: SettingName, value: unknown): Promise<string | undefined> {
  if ((await settings())[name] === value) return undefined
  if (name === 'auth_mode' && (await queries().hasOtherUsers())) return 'cannot be changed while there are users beside the first administrator'
  // Whoever logs in under a name that begins so is taken for a robot.
  if (name === 'robot_name_prefix' && (await queries().hasUserNamed(folded(String(value))))) return 'is what the name of a user begins with'
  return undefined
}
