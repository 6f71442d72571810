import { Type } from '@sinclair/typebox'
import { pingProvider } from '../../identity/oidc/relying-party.ts'
import { apiError, route } from './route.ts'
import type { Route } from './route.ts'

export const routes: readonly Route[] = [
  route({
    method: 'post',
    path: '/system/oidc/ping',
    summary: 'Whether an OpenID Connect provider answers at an endpoint. Its name must be that endpoint.',
    tag: 'oidc',
    needs: { system: { resource: 'configuration', action: 'update' } },
    body: Type.Object({ url: Type.String({ maxLength: 2_000, pattern: '^https://[!-~]+$' }), verify_cert: Type.Optional(Type.Boolean()) }),
    answers: { 200: undefined },
    async handle({ outbound }, _asked, { body: { url, verify_cert: verifyCertificate = true } }) {
      if (!URL.canParse(url)) return apiError(400, 'BAD_REQUEST', 'the endpoint is no URL')
      const refusal = await pingProvider(outbound, { endpoint: url, verifyCertificate })
      return refusal === undefined ? { status: 200 } : apiError(400, 'BAD_REQUEST', refusal.message)
    },
  }),
]
