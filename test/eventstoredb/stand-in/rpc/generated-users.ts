/* As generated.ts; beside it because some of these names stand there, too. */
import usersServices from '@eventstore/db-client/generated/users_grpc_pb.js'
import users from '@eventstore/db-client/generated/users_pb.js'

export type { IUsersServer } from '@eventstore/db-client/generated/users_grpc_pb.js'
export type * as Users from '@eventstore/db-client/generated/users_pb.js'

export const { ChangePasswordResp, CreateResp, DeleteResp, DetailsResp, DisableResp, EnableResp, ResetPasswordResp, UpdateResp } = users
export const { UsersService } = usersServices
