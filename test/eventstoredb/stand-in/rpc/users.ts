import type grpc from '@grpc/grpc-js'
import { findUser, isPassword, userEvent, userStream } from '../access/users.ts'
import type { NewUser, User } from '../access/users.ts'
import type { Served } from '../served.ts'
import { NO_STREAM } from '../store/expected.ts'
import type { Expected } from '../store/expected.ts'
import type { Write } from '../store/writer.ts'
import { ChangePasswordResp, CreateResp, DeleteResp, DetailsResp } from './generated-users.ts'
import { DisableResp, EnableResp, ResetPasswordResp, UpdateResp } from './generated-users.ts'
import type { IUsersServer, Users } from './generated-users.ts'
import { notWritten } from './not-written.ts'
import { accessDenied, asStatus, invalidArgument, userConflict, userNotFound } from './refusals.ts'

/** Users and their passwords, for those who administrate; everybody may see themselves and change their own password. */
export function createUsers({ node, calls, access }: Served): IUsersServer {
  const existing = (name: string): User => findUser(node.log, name) ?? userNotFoundIs(name)

  async function write(write: Write, name: string): Promise<void> {
    const result = await calls.writeOwn(write)
    if (result.kind === 'wrong-revision' || result.kind === 'deleted') throw userConflict(name)
    if (result.kind !== 'done') throw notWritten(result)
  }

  function put(type: '$UserCreated' | '$UserUpdated', user: NewUser, password: string | User): Promise<void> {
    const expected: Expected = type === '$UserCreated' ? { kind: 'revision', revision: NO_STREAM } : { kind: 'any' }
    return write({ kind: 'append', stream: userStream(user.name), expected, events: [userEvent(type, user, password)] }, user.name)
  }

  return {
    create: unary(CreateResp, async ({ request, metadata }: Unary<Users.CreateReq, Users.CreateResp>) => {
      access.demandAdmin(metadata)
      const options = given(request.getOptions())
      const name = options.getLoginName()
      if (findUser(node.log, name) !== undefined) throw userConflict(name)
      const user = { name, fullName: options.getFullName(), groups: options.getGroupsList(), disabled: false }
      await put('$UserCreated', user, options.getPassword())
    }),
    update: unary(UpdateResp, async ({ request, metadata }: Unary<Users.UpdateReq, Users.UpdateResp>) => {
      access.demandAdmin(metadata)
      const options = given(request.getOptions())
      const user = existing(options.getLoginName())
      await put('$UserUpdated', { ...user, fullName: options.getFullName(), groups: options.getGroupsList() }, user)
    }),
    delete: unary(DeleteResp, async ({ request, metadata }: Unary<Users.DeleteReq, Users.DeleteResp>) => {
      access.demandAdmin(metadata)
      const { name } = existing(given(request.getOptions()).getLoginName())
      await write({ kind: 'delete', stream: userStream(name), expected: { kind: 'any' }, forGood: false }, name)
    }),
    disable: unary(DisableResp, async ({ request, metadata }: Unary<Users.DisableReq, Users.DisableResp>) => {
      access.demandAdmin(metadata)
      const user = existing(given(request.getOptions()).getLoginName())
      await put('$UserUpdated', { ...user, disabled: true }, user)
    }),
    enable: unary(EnableResp, async ({ request, metadata }: Unary<Users.EnableReq, Users.EnableResp>) => {
      access.demandAdmin(metadata)
      const user = existing(given(request.getOptions()).getLoginName())
      await put('$UserUpdated', { ...user, disabled: false }, user)
    }),
    changePassword: unary(ChangePasswordResp, async ({ request, metadata }: Unary<Users.ChangePasswordReq, Users.ChangePasswordResp>) => {
      const options = given(request.getOptions())
      const identity = access.identify(metadata)
      const user = existing(options.getLoginName())
      if (identity.kind !== 'user' || identity.name !== user.name) throw accessDenied()
      if (!isPassword(user, options.getCurrentPassword())) throw accessDenied()
      await put('$UserUpdated', user, options.getNewPassword())
    }),
    resetPassword: unary(ResetPasswordResp, async ({ request, metadata }: Unary<Users.ResetPasswordReq, Users.ResetPasswordResp>) => {
      access.demandAdmin(metadata)
      const options = given(request.getOptions())
      await put('$UserUpdated', existing(options.getLoginName()), options.getNewPassword())
    }),
    details: (call: grpc.ServerWritableStream<Users.DetailsReq, Users.DetailsResp>) => {
      try {
        const name = given(call.request.getOptions()).getLoginName()
        const identity = access.identify(call.metadata)
        if (identity.kind !== 'user' || identity.name !== name) access.demandAdmin(call.metadata)
        call.write(detailsOf(existing(name)))
        call.end()
      } catch (error) {
        call.emit('error', asStatus(error))
      }
    },
  }
}

type Unary<Request, Response> = grpc.ServerUnaryCall<Request, Response>

/** A call whose answer says nothing but that it was done. */
function unary<Request, Response>(
  Answer: new () => Response,
  handle: (call: Unary<Request, Response>) => Promise<void>,
): grpc.handleUnaryCall<Request, Response> {
  return (call, answer) => {
    handle(call).then(
      () => {
        answer(null, new Answer())
      },
      (error: unknown) => {
        answer(asStatus(error))
      },
    )
  }
}

function given<Options>(options: Options | undefined): Options {
  if (options === undefined) throw invalidArgument('no options')
  return options
}

function userNotFoundIs(name: string): never {
  throw userNotFound(name)
}

function detailsOf(user: User): Users.DetailsResp {
  const updated = new DetailsResp.UserDetails.DateTime()
  updated.setTicksSinceEpoch(String(user.updated))
  const details = new DetailsResp.UserDetails()
  details.setLoginName(user.name)
  details.setFullName(user.fullName)
  details.setGroupsList([...user.groups])
  details.setDisabled(user.disabled)
  details.setLastUpdated(updated)
  const response = new DetailsResp()
  response.setUserDetails(details)
  return response
}
