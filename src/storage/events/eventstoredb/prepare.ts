import { isDeepStrictEqual } from 'node:util'
import { BACKWARDS, END, NO_STREAM, convertToCommandError, jsonEvent } from '@eventstore/db-client'
import type { RecordedEvent } from '@eventstore/db-client'
import usersServices from '@eventstore/db-client/generated/users_grpc_pb.js'
import users from '@eventstore/db-client/generated/users_pb.js'
import { LogClient } from './client.ts'
import type { ServerSettings, User } from './client.ts'
import { isType } from './verdict.ts'

/** `before`: the rights that were the server's until now; undefined where it had those that it comes with. */
export type Prepared = { readonly user: 'made' | 'there'; readonly rights: 'set' | 'there'; readonly before?: unknown }

const SETTINGS = '$settings'
const ADMINISTRATORS = '$admins'
const DEADLINE_MS = 10_000

/** A client that may do what Varve itself never does. */
class AdministratorClient extends LogClient {
  /** False where there is a user of this name. */
  async createUser({ name, password }: User): Promise<boolean> {
    const options = new users.CreateReq.Options()
    options.setLoginName(name)
    options.setFullName('Varve')
    options.setPassword(password)
    const request = new users.CreateReq()
    request.setOptions(options)
    try {
      await this.execute(usersServices.UsersClient, 'createUser', (client) => {
        const { promise, resolve, reject } = Promise.withResolvers<undefined>()
        client.create(request, ...this.callArguments({ deadline: DEADLINE_MS }), (error) => {
          if (error === null) resolve(undefined)
          else reject(convertToCommandError(error))
        })
        return promise
      })
      return true
    } catch (error) {
      if (isType(error, 'user-conflict')) return false
      throw error
    }
  }
}

/**
 * The rights that all streams of a server have by default: the user appends and reads, and reads what the server has of its own;
 * only administrators delete, and change what is kept. That is how nobody thins the log with Varve's own password.
 */
function rightsFor(name: string) {
  const both = [name, ADMINISTRATORS]
  return {
    $userStreamAcl: { $r: both, $w: both, $d: ADMINISTRATORS, $mr: both, $mw: ADMINISTRATORS },
    $systemStreamAcl: { $r: both, $w: ADMINISTRATORS, $d: ADMINISTRATORS, $mr: ADMINISTRATORS, $mw: ADMINISTRATORS },
  }
}

/** Makes the user and sets the rights, as an administrator; what is there already is left, and the user's password is tried in the end. */
export async function prepareServer(settings: ServerSettings, administrator: User, user: User): Promise<Prepared> {
  const client = new AdministratorClient({ ...settings, user: administrator })
  try {
    const made = await client.createUser(user)
    const last = await lastSettings(client)
    const rights = rightsFor(user.name)
    const stands = isDeepStrictEqual(last?.data, rights)
    if (!stands) {
      const event = jsonEvent({ type: 'update-default-acl', data: rights })
      await client.appendToStream(SETTINGS, event, { expectedRevision: last?.revision ?? NO_STREAM, requiresLeader: true, deadline: DEADLINE_MS })
    }
    await tryUser({ ...settings, user })
    return { user: made ? 'made' : 'there', rights: stands ? 'there' : 'set', ...(stands || last === undefined ? {} : { before: last.data }) }
  } finally {
    client.close()
  }
}

async function lastSettings(client: LogClient): Promise<RecordedEvent | undefined> {
  try {
    for await (const { event } of client.readStream(SETTINGS, { direction: BACKWARDS, fromRevision: END, maxCount: 1, requiresLeader: true })) return event
    return undefined
  } catch (error) {
    if (isType(error, 'stream-not-found')) return undefined
    throw error
  }
}

/** Reads as the user. Throws where that is not allowed: the password is another, or the rights are not what was set. */
async function tryUser(settings: ServerSettings): Promise<void> {
  const client = new LogClient(settings)
  try {
    for await (const { event } of client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1 })) if (event !== undefined) return
  } catch (error) {
    throw new Error('the user cannot read the log: is there one of this name with another password?', { cause: error })
  } finally {
    client.close()
  }
}
