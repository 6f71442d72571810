import { Type } from '@sinclair/typebox'
import { reachOf } from '../reach.ts'
import type { Management } from './management.ts'
import { apiError, route } from './route.ts'
import type { Route } from './route.ts'

/** The version of Harbor's API that is spoken: clients compare what stands before the dash. */
const HARBOR_API = 'v2.14.0'

/** How long the health of a part is waited for. */
const HEALTH_MS = 2_000

const SystemInfo = Type.Object({
  auth_mode: Type.String(),
  primary_auth_mode: Type.Boolean(),
  self_registration: Type.Boolean(),
  oidc_provider_name: Type.String(),
  banner_message: Type.String(),
  current_time: Type.Optional(Type.String({ format: 'date-time' })),
  registry_url: Type.Optional(Type.String()),
  external_url: Type.Optional(Type.String()),
  project_creation_restriction: Type.Optional(Type.String()),
  has_ca_root: Type.Optional(Type.Boolean()),
  harbor_version: Type.Optional(Type.String()),
  registry_storage_provider_name: Type.Optional(Type.String()),
  read_only: Type.Optional(Type.Boolean()),
  notification_enable: Type.Optional(Type.Boolean()),
})

const Health = Type.Object({
  status: Type.String(),
  components: Type.Array(Type.Object({ name: Type.String(), status: Type.String(), error: Type.Optional(Type.String()) })),
})

const Statistic = Type.Object({
  private_project_count: Type.Integer(),
  private_repo_count: Type.Integer(),
  public_project_count: Type.Integer(),
  public_repo_count: Type.Integer(),
  total_project_count: Type.Optional(Type.Integer({ description: 'For administrators.' })),
  total_repo_count: Type.Optional(Type.Integer({ description: 'For administrators.' })),
})

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/ping',
    summary: 'Whether the API answers.',
    tag: 'ping',
    needs: 'everybody',
    answers: { 200: Type.String() },
    handle: () => Promise.resolve({ status: 200, body: 'Pong' }),
  }),
  route({
    method: 'get',
    path: '/health',
    summary: 'Whether the parts of the registry work.',
    tag: 'health',
    needs: 'everybody',
    answers: { 200: Health },
    async handle(management) {
      const components = [coreHealth(management), await databaseHealth(management)]
      const healthy = components.every(({ status }) => status === 'healthy')
      return { status: 200, body: { status: healthy ? 'healthy' : 'unhealthy', components } }
    },
  }),
  route({
    method: 'get',
    path: '/systeminfo',
    summary: 'What everybody may know of the registry, and more for those who are logged in.',
    tag: 'systeminfo',
    needs: 'everybody',
    answers: { 200: SystemInfo },
    async handle({ settings, publicUrl, release, now }, { subject }) {
      const values = await settings()
      const open = {
        auth_mode: values.auth_mode,
        primary_auth_mode: values.primary_auth_mode,
        self_registration: values.self_registration,
        oidc_provider_name: values.auth_mode === 'oidc_auth' ? values.oidc_name : '',
        banner_message: '',
      }
      if (subject.kind === 'anonymous') return { status: 200, body: open }
      const more = {
        current_time: now().toISOString(),
        registry_url: new URL(publicUrl()).host,
        external_url: publicUrl(),
        project_creation_restriction: values.project_creation_restriction,
        has_ca_root: false,
        harbor_version: `${HARBOR_API}-varve-${release}`,
        registry_storage_provider_name: 'filesystem',
        read_only: false,
        notification_enable: false,
      }
      return { status: 200, body: { ...open, ...more } }
    },
  }),
  route({
    method: 'get',
    path: '/systeminfo/getcert',
    summary: 'The certificate of the authority that the registry is trusted by, where it has one to give. It has none: `has_ca_root` is false.',
    tag: 'systeminfo',
    needs: 'everybody',
    answers: { 404: undefined },
    handle: () => Promise.resolve(apiError(404, 'NOT_FOUND', 'this registry keeps no certificate of an authority')),
  }),
  route({
    method: 'get',
    path: '/systeminfo/volumes',
    summary: 'How large the disk of the blobs is, and what of it is free, in bytes.',
    tag: 'systeminfo',
    needs: { system: { resource: 'system-volumes', action: 'read' } },
    answers: { 200: Type.Object({ storage: Type.Array(Type.Object({ total: Type.Integer(), free: Type.Integer() })) }) },
    async handle({ volume }) {
      const { totalBytes, freeBytes } = await volume()
      return { status: 200, body: { storage: [{ total: totalBytes, free: freeBytes }] } }
    },
  }),
  route({
    method: 'get',
    path: '/statistics',
    summary: 'How many projects and repositories there are, of those that the caller may see.',
    tag: 'statistic',
    needs: 'identified',
    answers: { 200: Statistic },
    async handle({ queries }, { subject }) {
      const seen = await queries().repositoryTotals(reachOf(subject))
      const counts = {
        private_project_count: seen.privateProjects,
        private_repo_count: seen.privateRepositories,
        public_project_count: seen.publicProjects,
        public_repo_count: seen.publicRepositories,
      }
      const isAdministrator = subject.kind === 'user' && subject.administrator
      const totals = {
        total_project_count: seen.privateProjects + seen.publicProjects,
        total_repo_count: seen.privateRepositories + seen.publicRepositories,
      }
      return { status: 200, body: isAdministrator ? { ...counts, ...totals } : counts }
    },
  }),
]

type Component = { readonly name: string; readonly status: 'healthy' | 'unhealthy'; readonly error?: string }

function coreHealth({ readiness }: Management): Component {
  const problems = readiness()
  return problems.length === 0 ? { name: 'core', status: 'healthy' } : { name: 'core', status: 'unhealthy', error: problems.join('; ') }
}

/** By a query, which goes on by itself where it takes too long. */
async function databaseHealth({ queries }: Management): Promise<Component> {
  const unhealthy: Component = { name: 'database', status: 'unhealthy', error: 'the database gives no answer' }
  const late = Promise.withResolvers<Component>()
  const timer = setTimeout(() => {
    late.resolve(unhealthy)
  }, HEALTH_MS)
  const asked = queries()
    .projectIdByNumber(1)
    .then((): Component => ({ name: 'database', status: 'healthy' }))
    .catch(() => unhealthy)
  try {
    return await Promise.race([asked, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
