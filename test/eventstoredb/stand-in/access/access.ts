import type { Metadata } from '@grpc/grpc-js'
import { accessDenied, unauthenticated } from '../rpc/refusals.ts'
import type { Log } from '../store/log.ts'
import { isAdmin, mayDo } from './rights.ts'
import type { Action, Identity } from './rights.ts'
import { findUser, isPassword } from './users.ts'

/** Who calls, and what they may do; what fails throws a refusal. */
export type Access = {
  identify(metadata: Metadata): Identity
  allows(identity: Identity, action: Action, stream: string): boolean
  demand(metadata: Metadata, action: Action, stream: string): void
  demandAdmin(metadata: Metadata): void
}

/** Without `isEnabled` everybody may do everything, as on a real server that is told to be insecure. */
export function createAccess(log: Log, isEnabled: boolean): Access {
  /** The password that each user showed last and that was right, with the hash that it was right for. */
  const shown = new Map<string, { readonly hash: string; readonly password: string }>()

  function identify(metadata: Metadata): Identity {
    if (!isEnabled) return { kind: 'anybody' }
    const [authorization] = metadata.get('authorization')
    if (authorization === undefined) return { kind: 'anonymous' }
    const credentials = /^Basic (.+)$/.exec(String(authorization))?.[1]
    const [, name, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(credentials ?? '', 'base64').toString('utf8')) ?? []
    if (name === undefined || password === undefined) throw unauthenticated()
    const user = findUser(log, name)
    if (user === undefined || user.disabled) throw unauthenticated()
    const before = shown.get(name)
    if (before?.hash !== user.hash || before.password !== password) {
      if (!isPassword(user, password)) throw unauthenticated()
      shown.set(name, { hash: user.hash, password })
    }
    return { kind: 'user', name, groups: user.groups }
  }

  return {
    identify,
    allows: (identity, action, stream) => mayDo(log, identity, action, stream),
    demand(metadata, action, stream) {
      if (!mayDo(log, identify(metadata), action, stream)) throw accessDenied()
    },
    demandAdmin(metadata) {
      if (!isAdmin(identify(metadata))) throw accessDenied()
    },
  }
}
