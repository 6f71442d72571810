import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { mayInSystem } from '../../commands/access/rights.ts'
import type { Subject } from '../../commands/access/rights.ts'
import { sealPerson, userAggregate, usersAggregate } from '../../commands/user/aggregate.ts'
import type { Person } from '../../commands/user/events.ts'
import { networkOf } from '../../identity/network.ts'
import type { UserRow } from '../../projections/identity-queries.ts'
import { userColumns } from '../../projections/people-queries.ts'
import { noteRefusal, reasonOf } from '../refusals.ts'
import { recordLogin } from '../requester.ts'
import { MAX_USER_NAME, USER_NAME } from '../user-names.ts'
import { carryOut } from './carry-out.ts'
import { listAsked, listParameters, pageAnswer, pageParameters } from './listing.ts'
import type { Management } from './management.ts'
import { permissionsIn } from './permissions.ts'
import { Number32, Secret, givenOrMade, line, sealChosen } from './people.ts'
import { busy, forbidden } from './refusals.ts'
import { apiError, done, forWantOf, locationOf, route } from './route.ts'
import type { ApiError, Asked, Route } from './route.ts'

const UserPath = Type.Object({ user_id: Number32 })

const UserName = Type.String({ maxLength: MAX_USER_NAME, pattern: USER_NAME })
const Email = Type.String({ maxLength: 255, pattern: '^(?:[^\\s@<>,;:"\\p{Cc}\\p{Cs}]+@[^\\s@<>,;:"\\p{Cc}\\p{Cs}]+)?$' })
const RealName = Type.String({ maxLength: 255, pattern: '^[^,~#$%\\p{Cc}\\p{Cs}]*$' })
const Profile = { email: Type.Optional(Email), realname: Type.Optional(RealName), comment: Type.Optional(line(255)) }

const UserAnswer = Type.Object({
  user_id: Type.Integer(),
  username: Type.String(),
  email: Type.Optional(Type.String()),
  realname: Type.Optional(Type.String()),
  comment: Type.Optional(Type.String()),
  sysadmin_flag: Type.Boolean(),
  admin_role_in_auth: Type.Boolean(),
  oidc_user_meta: Type.Optional(Type.Object({ id: Type.Integer(), user_id: Type.Integer(), subiss: Type.Optional(Type.String()) })),
  creation_time: Type.String(),
  update_time: Type.String(),
})

const UPDATE = { resource: 'user', action: 'update' }

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/users',
    summary: 'The users, by name.',
    tag: 'user',
    needs: { system: { resource: 'user', action: 'list' } },
    query: Type.Object({ ...listParameters, username: Type.Optional(line(255)), email: Type.Optional(line(255)) }),
    answers: { 200: Type.Array(UserAnswer) },
    async handle({ queries }, asked, { query }) {
      const list = listAsked(userColumns, query)
      if ('refused' in list) return list
      const parts = (['username', 'email'] as const).flatMap((name) => {
        const value = query[name] ?? ''
        return value === '' ? [] : [{ by: userColumns[name], match: 'part', value } as const]
      })
      return pageAnswer(asked, list, await queries().users({ ...list, filters: [...list.filters, ...parts] }), userAnswer)
    },
  }),

  route({
    method: 'post',
    path: '/users',
    summary: 'Creates a user whose password is kept here, and who is no administrator.',
    tag: 'user',
    needs: { system: { resource: 'user', action: 'create' }, openBy: 'self_registration' },
    body: Type.Object({ username: UserName, password: Secret, ...Profile }),
    answers: { 201: undefined },
    async handle(management, asked, { body }) {
      const { auth_mode: mode, robot_name_prefix: prefix } = await management.settings()
      if (mode !== 'db_auth') return apiError(403, 'FORBIDDEN', `users come from elsewhere here (${mode})`)
      if (body.username.startsWith(prefix)) return apiError(400, 'BAD_REQUEST', `only names of robots begin with ${prefix}`)
      const throttled = asked.subject.kind === 'anonymous' ? throttledRegistration(management, asked) : undefined
      if (throttled !== undefined) return throttled
      const verifier = await sealChosen(management, body.password)
      if (typeof verifier !== 'string') return verifier
      const user = randomUUID()
      const person = await sealPerson(management.sealer, user, personWith({ name: body.username }, body))
      const outcome = await carryOut(management, asked, usersAggregate(management.decisionRows, management.sealer), {
        type: 'CreateUser', user, person, source: 'local', verifier, administrator: false,
      })
      if ('refused' in outcome) return outcome
      const [created] = outcome
      return { status: 201, headers: created?.type === 'UserCreated' ? locationOf(asked, created.data.number) : {} }
    },
  }),

  route({
    method: 'get',
    path: '/users/search',
    summary: 'The users whose name has this part, by name.',
    tag: 'user',
    needs: 'identified',
    query: Type.Object({ ...pageParameters, username: line(255, 1) }),
    answers: { 200: Type.Array(Type.Object({ user_id: Type.Integer(), username: Type.String() })) },
    async handle({ queries }, asked, { query: { page, page_size: pageSize, username } }) {
      const found = await queries().users({ filters: [{ by: userColumns.username, match: 'part', value: username }], order: [], page, pageSize })
      return pageAnswer(asked, { page, pageSize }, found, ({ number, name }) => ({ user_id: number, username: name }))
    },
  }),

  route({
    method: 'get',
    path: '/users/current',
    summary: 'Who asks.',
    tag: 'user',
    needs: 'identified',
    answers: { 200: UserAnswer },
    async handle({ identity }, { subject }) {
      const user = subject.kind === 'user' ? await identity.user(subject.id) : undefined
      return user === undefined ? apiError(412, 'PRECONDITION', 'a robot is no user') : { status: 200, body: ownAnswer(user) }
    },
  }),

  route({
    method: 'get',
    path: '/users/current/permissions',
    summary: 'What whoever asks may do on the registry (the scope /system) or in a project (/project/<its number>).',
    tag: 'user',
    needs: 'identified',
    query: Type.Object({ scope: Type.Optional(Type.String({ maxLength: 255 })), relative: Type.Boolean({ default: false }) }),
    answers: { 200: Type.Array(Type.Object({ resource: Type.String(), action: Type.String() })) },
    async handle({ identity }, { subject }, { query: { scope = '', relative } }) {
      const permissions = await permissionsIn(identity, subject, scope)
      const shown = permissions.map(({ resource, action }) => ({ resource: relative ? (resource ?? '.') : [scope, ...(resource === undefined ? [] : [resource])].join('/'), action }))
      return { status: 200, body: shown }
    },
  }),

  route({
    method: 'get',
    path: '/users/{user_id}',
    summary: 'A user. Everybody may see themselves.',
    tag: 'user',
    needs: 'identified',
    params: UserPath,
    answers: { 200: UserAnswer },
    async handle(management, asked, { params }) {
      const user = await userFor(management, asked, params.user_id, { resource: 'user', action: 'read' })
      return 'refused' in user ? user : { status: 200, body: isSelf(asked.subject, user) ? ownAnswer(user) : userAnswer(user) }
    },
  }),

  route({
    method: 'put',
    path: '/users/{user_id}',
    summary: 'Changes what is said of a user. What is left out stays, and an empty text removes. Everybody may change themselves.',
    tag: 'user',
    needs: 'identified',
    params: UserPath,
    body: Type.Object(Profile),
    answers: { 200: undefined },
    async handle(management, asked, { params, body }) {
      const user = await userFor(management, asked, params.user_id, UPDATE)
      if ('refused' in user) return user
      if (user.source !== 'local') return fromElsewhere
      const { name, email, realName, comment, external } = user
      const known: Person = { name, ...defined({ email, realName, comment, external }) }
      const person = await sealPerson(management.sealer, user.id, personWith(known, body))
      return done(await carryOut(management, asked, usersAggregate(management.decisionRows, management.sealer), { type: 'ChangePerson', user: user.id, person }))
    },
  }),

  route({
    method: 'delete',
    path: '/users/{user_id}',
    summary: 'Deletes a user, whose name is free again. Nobody can delete themselves.',
    tag: 'user',
    needs: { system: { resource: 'user', action: 'delete' } },
    params: UserPath,
    answers: { 200: undefined },
    async handle(management, asked, { params }) {
      const user = await userFor(management, asked, params.user_id, { resource: 'user', action: 'delete' })
      if ('refused' in user) return user
      if (isSelf(asked.subject, user)) return apiError(403, 'FORBIDDEN', 'nobody can delete themselves')
      return done(await carryOut(management, asked, usersAggregate(management.decisionRows, management.sealer), { type: 'DeleteUser', user: user.id }))
    },
  }),

  route({
    method: 'put',
    path: '/users/{user_id}/sysadmin',
    summary: 'Makes a user an administrator of the registry, or one no more. For administrators.',
    tag: 'user',
    needs: { system: UPDATE },
    params: UserPath,
    body: Type.Object({ sysadmin_flag: Type.Boolean() }),
    answers: { 200: undefined },
    async handle(management, asked, { params, body: { sysadmin_flag: administrator } }) {
      // Else a robot that may update users could give what it has not.
      if (!isAdministrator(asked.subject)) return forWantOf(UPDATE, forbidden)
      const user = await userFor(management, asked, params.user_id, UPDATE)
      if ('refused' in user) return user
      return done(await carryOut(management, asked, usersAggregate(management.decisionRows, management.sealer), { type: 'SetAdministrator', user: user.id, administrator }))
    },
  }),

  route({
    method: 'put',
    path: '/users/{user_id}/password',
    summary: 'Changes a password. Whoever changes their own gives the old one too.',
    tag: 'user',
    needs: 'identified',
    params: UserPath,
    body: Type.Object({ old_password: Type.Optional(Secret), new_password: Secret }),
    answers: { 200: undefined },
    async handle(management, asked, { params, body: { old_password: old = '', new_password: chosen } }) {
      const user = await userFor(management, asked, params.user_id, UPDATE)
      if ('refused' in user) return user
      if (user.source !== 'local') return fromElsewhere
      if (isSelf(asked.subject, user)) {
        const refused = await refusedPassword(management, asked, user, old)
        if (refused !== undefined) return refused
        if (old === chosen) return apiError(400, 'BAD_REQUEST', 'the new password is the old one')
      }
      const verifier = await sealChosen(management, chosen)
      if (typeof verifier !== 'string') return verifier
      return done(await carryOut(management, asked, userAggregate(management.decisionRows, user.id), { type: 'ChangePassword', verifier }))
    },
  }),

  route({
    method: 'put',
    path: '/users/{user_id}/cli_secret',
    summary: 'Changes the secret by which a user of the OIDC provider logs in from the command line. Without one given, one is made and answered, this once.',
    tag: 'user',
    needs: 'identified',
    params: UserPath,
    body: Type.Object({ secret: Type.Optional(Secret) }),
    answers: { 200: Type.Object({ secret: Type.Optional(Type.String()) }) },
    async handle(management, asked, { params, body }) {
      const user = await userFor(management, asked, params.user_id, UPDATE)
      if ('refused' in user) return user
      if (user.source !== 'oidc') return apiError(412, 'PRECONDITION', 'only users of an OIDC provider have a secret for the command line')
      const made = await givenOrMade(management, body.secret)
      if ('refused' in made) return made
      const outcome = await carryOut(management, asked, userAggregate(management.decisionRows, user.id), { type: 'ChangeCliSecret', verifier: made.verifier })
      if ('refused' in outcome) return outcome
      return made.secret === body.secret ? { status: 200 } : { status: 200, body: { secret: made.secret } }
    },
  }),
]

const fromElsewhere = apiError(403, 'FORBIDDEN', 'the directory or provider that this user comes from says who they are')
const wrongPassword = apiError(403, 'FORBIDDEN', 'the old password is wrong')
const noSuchUser = apiError(404, 'NOT_FOUND', 'there is no such user')

function isSelf(subject: Subject, { id }: UserRow): boolean {
  return subject.kind === 'user' && subject.id === id
}

function isAdministrator(subject: Subject): boolean {
  return subject.kind === 'user' && subject.administrator
}

/**
 * The user of a number, for somebody who is that user or may do this to all. To others each number is answered alike. What would make
 * one the equal of an administrator or auditor (a password, a mail address) only administrators may change.
 */
async function userFor({ queries }: Management, { subject }: Asked, number: number, permission: { readonly resource: string; readonly action: string }): Promise<UserRow | ApiError> {
  const user = await queries().userByNumber(number)
  if (user !== undefined && isSelf(subject, user)) return user
  const beyond = forWantOf(permission, forbidden)
  if (!mayInSystem(subject, permission)) return beyond
  if (user === undefined) return noSuchUser
  return (user.administrator || user.auditor) && permission.action !== 'read' && !isAdministrator(subject) ? beyond : user
}

/** Who registers themselves waits as one does after as many wrong passwords: each try counts, by network, or one could make users without end. */
function throttledRegistration(management: Management, asked: Asked): ApiError | undefined {
  const attempt = management.registrations.begin(networkOf(asked.address), asked.address)
  if (attempt.status === 'begun') {
    attempt.end('wrong')
    return undefined
  }
  noteRefusal(management, asked, { reason: 'throttled', action: 'user:create' })
  return apiError(429, 'TOO_MANY_REQUEST', `too many have registered from this network: try again in ${attempt.seconds} s`)
}

/** The old password is asked for as a login is, with its delays: else whoever took over a session could guess at it here. */
async function refusedPassword(management: Management, asked: Asked, { name, credential }: UserRow, password: string): Promise<ApiError | undefined> {
  const loggedIn = await management.logIn(name, password, asked.address)
  if (!('refused' in loggedIn)) {
    const { login, by, fresh, recorded } = loggedIn
    const { caller, requestId } = asked
    if (fresh) await recordLogin(management.access, { by, recorded, caller, requestId })
    // A secret for the command line is no password.
    return login.credential === credential ? undefined : wrongPassword
  }
  noteRefusal(management, asked, { reason: reasonOf(loggedIn), action: 'password:change' })
  return loggedIn.reason === 'wait' ? busy : wrongPassword
}

type Said = { readonly email?: string | undefined; readonly realname?: string | undefined; readonly comment?: string | undefined }

/** What is known of a person, changed by what was said. */
function personWith(known: Person, { email = known.email, realname = known.realName, comment = known.comment }: Said): Person {
  const { name, external } = known
  return { name, ...defined({ email, realName: realname, comment, external }) }
}

function defined<K extends string>(texts: Readonly<Record<K, string | undefined>>): Partial<Record<K, string>> {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text !== '')) as Partial<Record<K, string>>
}

function userAnswer({ number, name, email, realName, comment, administrator, source, external, createdAt, updatedAt }: UserRow): object {
  return {
    user_id: number,
    username: name,
    ...defined({ email, realname: realName, comment }),
    sysadmin_flag: administrator,
    admin_role_in_auth: false,
    ...(source === 'oidc' ? { oidc_user_meta: { id: number, user_id: number, ...defined({ subiss: external }) } } : {}),
    creation_time: createdAt.toISOString(),
    update_time: updatedAt.toISOString(),
  }
}

/** As with Harbor, only who asks for themselves is told whether their directory or provider makes them an administrator. */
function ownAnswer(user: UserRow): object {
  return { ...userAnswer(user), admin_role_in_auth: user.administratorByDirectory }
}
