import { readFileSync } from 'node:fs'
import eventstore from '@eventstore/db-client'
import type { EventStoreDBClient } from '@eventstore/db-client'
import usersServices from '@eventstore/db-client/generated/users_grpc_pb.js'
import type { UsersClient as Users } from '@eventstore/db-client/generated/users_grpc_pb.js'
import type { DetailsResp } from '@eventstore/db-client/generated/users_pb.js'
import users from '@eventstore/db-client/generated/users_pb.js'
import grpc from '@grpc/grpc-js'
import { expect, it } from '@jest/globals'
import { one, two } from '../support/certificates.ts'
import { startStandIn, startStandInCluster } from '../support/eventstoredb.ts'
import type { StandIn } from '../support/eventstoredb.ts'
import { temporaryFiles } from '../support/files.ts'
import { APPEND_CALLS, appendBy, connect, idsOf, insist, newEvent, outcomeOf, watch } from './client.ts'

const { BACKWARDS, END } = eventstore

/** What a client is told that gave no name, and one that may not. */
const DENIED = 'AccessDeniedError | access-denied | 7 PERMISSION_DENIED: Access Denied'
/** The same, inside the batch call. */
const DENIED_IN_BATCH = 'AccessDeniedError | access-denied | '
const UNAUTHENTICATED = 'AccessDeniedError | access-denied | 16 UNAUTHENTICATED: Received HTTP status code 401'

const file = temporaryFiles()
const caFile = file('ca.pem', one.cert)
const otherCaFile = file('other.pem', two.cert)
const tls = ['--tls-cert', caFile, '--tls-key', file('key.pem', one.key)]

type Account = { readonly username: string; readonly password: string }
const admin: Account = { username: 'admin', password: 'changeit' }

/** A client that has a name, or none. */
function as(standIn: Pick<StandIn, 'url'>, account?: Account): EventStoreDBClient {
  const url = account === undefined ? standIn.url : standIn.url.replace('esdb://', `esdb://${account.username}:${account.password}@`)
  return connect(url, `&tlsCAFile=${caFile}`)
}

type Call = (client: Users, metadata: grpc.Metadata, answer: (error: grpc.ServiceError | null) => void) => void

/** Calls the service for users in somebody's name. */
async function asUser(standIn: StandIn, by: Account, call: Call): Promise<void> {
  const client = new usersServices.UsersClient(`localhost:${standIn.port}`, grpc.credentials.createSsl(readFileSync(caFile)))
  const metadata = new grpc.Metadata()
  metadata.set('authorization', `Basic ${Buffer.from(`${by.username}:${by.password}`).toString('base64')}`)
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  call(client, metadata, (error) => {
    if (error === null) resolve(undefined)
    else reject(error)
  })
  await promise.finally(() => {
    client.close()
  })
}

async function createUser(standIn: StandIn, { username, password }: Account, by: Account): Promise<void> {
  const options = new users.CreateReq.Options()
  options.setLoginName(username)
  options.setPassword(password)
  options.setFullName('Varve')
  const request = new users.CreateReq()
  request.setOptions(options)
  await asUser(standIn, by, (client, metadata, answer) => client.create(request, metadata, answer))
}

async function lastOfAll(client: EventStoreDBClient): Promise<string | undefined> {
  for await (const { event } of client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1 })) return event?.streamId
  return undefined
}

/** What somebody is told who does each of these things. */
async function tried(client: EventStoreDBClient, { username, password }: Account) {
  const credentials = { username, password }
  const event = newEvent()
  const seen = watch(client.subscribeToAll({ fromPosition: END }))
  const append = await outcomeOf(client.appendToStream('tried', event, { credentials }))
  const batch = await outcomeOf(client.appendToStream('tried', newEvent()))
  await seen.saw('caughtUp', 'error')
  return {
    append,
    batch,
    read: await outcomeOf(idsOf(client, 'tried')),
    readAll: await outcomeOf(lastOfAll(client)),
    subscribe: seen.signals.at(-1),
    metadata: await outcomeOf(client.setStreamMetadata('tried', { maxCount: 1 })),
    delete: await outcomeOf(client.deleteStream('tried')),
    tombstone: await outcomeOf(client.tombstoneStream('tried-too')),
  }
}

it('lets nobody do anything who has no name, or shows a wrong password', async () => {
  const standIn = await startStandIn(tls)
  const nobody = as(standIn)
  expect(await outcomeOf(appendBy('the batch call', nobody, 'a', newEvent()))).toBe(DENIED_IN_BATCH)
  expect(await outcomeOf(idsOf(nobody, 'a'))).toBe(DENIED)
  expect(await outcomeOf(nobody.deleteStream('a'))).toBe(DENIED)
  const wrong = as(standIn, { ...admin, password: 'wrong' })
  expect(await outcomeOf(idsOf(wrong, 'a'))).toBe(UNAUTHENTICATED)
  expect(await outcomeOf(appendBy('the batch call', wrong, 'a', newEvent()))).toBe(UNAUTHENTICATED)
  const credentials = { username: 'nobody', password: 'changeit' }
  expect(await outcomeOf(nobody.appendToStream('a', newEvent(), { credentials }))).toBe(UNAUTHENTICATED)
  expect(standIn.stored().filter(({ stream }) => stream === 'a')).toEqual([])
  for (const call of APPEND_CALLS) await appendBy(call, as(standIn, admin), 'a', newEvent())
  expect(await idsOf(as(standIn, admin), 'a')).toHaveLength(2)
})

it('is reached neither in clear nor by a client that does not know its authority', async () => {
  const standIn = await startStandIn(tls)
  const unavailable = /^Error \| {2}\| 14 UNAVAILABLE/
  const inClear = connect(standIn.url.replace('tls=true', 'tls=false'))
  expect(await outcomeOf(appendBy('the batch call', inClear, 'a', newEvent()))).toMatch(unavailable)
  const unaware = connect(standIn.url, `&tlsCAFile=${otherCaFile}`)
  expect(await outcomeOf(appendBy('the batch call', unaware, 'a', newEvent()))).toMatch(unavailable)
})

it('gives a user the rights of the default list, and then those that the settings say', async () => {
  const standIn = await startStandIn(tls)
  const varve: Account = { username: 'varve', password: 'a-password' }
  await expect(createUser(standIn, varve, { ...admin, password: 'wrong' })).rejects.toThrow('UNAUTHENTICATED')
  await createUser(standIn, varve, admin)
  await expect(createUser(standIn, varve, admin)).rejects.toThrow('Conflict')
  await expect(createUser(standIn, { ...varve, username: 'other' }, varve)).rejects.toThrow('Access Denied')
  expect(await tried(as(standIn, varve), varve)).toEqual({
    append: 'success',
    batch: 'success',
    read: 'success',
    readAll: DENIED,
    subscribe: `error: ${DENIED}`,
    metadata: 'success',
    delete: 'success',
    tombstone: 'success',
  })
  const settings = {
    $userStreamAcl: { $r: ['varve', '$admins'], $w: ['varve', '$admins'], $d: '$admins', $mr: ['varve', '$admins'], $mw: '$admins' },
    $systemStreamAcl: { $r: ['varve', '$admins'], $w: '$admins', $d: '$admins', $mr: '$admins', $mw: '$admins' },
  }
  const update = eventstore.jsonEvent({ type: 'update-default-acl', data: settings })
  expect(await outcomeOf(as(standIn, varve).appendToStream('$settings', update, { credentials: varve }))).toBe(DENIED)
  await as(standIn, admin).appendToStream('$settings', update)
  const appendOnly = {
    append: 'success',
    batch: 'success',
    read: 'success',
    readAll: 'success',
    subscribe: 'caughtUp',
    metadata: DENIED_IN_BATCH,
    delete: DENIED,
    tombstone: DENIED,
  }
  expect(await tried(as(standIn, varve), varve)).toEqual(appendOnly)
  // Users and settings are in the log, so a start finds them.
  await standIn.kill('SIGKILL')
  await standIn.restart()
  expect(await tried(as(standIn, varve), varve)).toEqual(appendOnly)
  const gone = "StreamDeletedError | stream-deleted | 9 FAILED_PRECONDITION: Event stream 'tried-too' is deleted."
  expect(await tried(as(standIn, admin), admin)).toMatchObject({ metadata: 'success', delete: 'success', tombstone: gone })
})

it('disables users and lets them back in, gives them new passwords, and forgets them', async () => {
  const standIn = await startStandIn(tls)
  const varve: Account = { username: 'varve', password: 'a-password' }
  const read = (password: string): Promise<string> => outcomeOf(idsOf(as(standIn, { ...varve, password }), '$user-varve-is-no-stream'))
  await createUser(standIn, varve, admin)
  expect(await read('a-password')).toBe(DENIED)

  const disable = new users.DisableReq()
  disable.setOptions(new users.DisableReq.Options().setLoginName('varve'))
  await asUser(standIn, admin, (client, metadata, answer) => client.disable(disable, metadata, answer))
  expect(await read('a-password')).toBe(UNAUTHENTICATED)
  const enable = new users.EnableReq()
  enable.setOptions(new users.EnableReq.Options().setLoginName('varve'))
  await asUser(standIn, admin, (client, metadata, answer) => client.enable(enable, metadata, answer))
  expect(await read('a-password')).toBe(DENIED)

  const reset = new users.ResetPasswordReq()
  reset.setOptions(new users.ResetPasswordReq.Options().setLoginName('varve').setNewPassword('another'))
  await asUser(standIn, admin, (client, metadata, answer) => client.resetPassword(reset, metadata, answer))
  expect([await read('a-password'), await read('another')]).toEqual([UNAUTHENTICATED, DENIED])
  const change = new users.ChangePasswordReq()
  change.setOptions(new users.ChangePasswordReq.Options().setLoginName('varve').setCurrentPassword('another').setNewPassword('third'))
  const changePassword: Call = (client, metadata, answer) => client.changePassword(change, metadata, answer)
  await expect(asUser(standIn, admin, changePassword)).rejects.toThrow('Denied')
  await asUser(standIn, { ...varve, password: 'another' }, changePassword)
  expect([await read('another'), await read('third')]).toEqual([UNAUTHENTICATED, DENIED])

  const update = new users.UpdateReq()
  update.setOptions(new users.UpdateReq.Options().setLoginName('varve').setFullName('Varve').setGroupsList(['$admins']))
  await asUser(standIn, admin, (client, metadata, answer) => client.update(update, metadata, answer))
  expect(await read('third')).toMatch(/^StreamNotFoundError/)
  const details = new users.DetailsReq()
  details.setOptions(new users.DetailsReq.Options().setLoginName('varve'))
  const told: unknown[] = []
  await asUser(standIn, { ...varve, password: 'third' }, (client, metadata, answer) => {
    const call = client.details(details, metadata)
    call.on('data', (response: DetailsResp) => told.push(response.toObject().userDetails))
    call.on('error', answer)
    call.on('end', () => {
      answer(null)
    })
  })
  expect(told).toMatchObject([{ loginName: 'varve', fullName: 'Varve', groupsList: ['$admins'], disabled: false }])

  const remove = new users.DeleteReq()
  remove.setOptions(new users.DeleteReq.Options().setLoginName('varve'))
  const removeUser: Call = (client, metadata, answer) => client.delete(remove, metadata, answer)
  await asUser(standIn, admin, removeUser)
  expect(await read('third')).toBe(UNAUTHENTICATED)
  await expect(asUser(standIn, admin, removeUser)).rejects.toThrow('not found')
  await createUser(standIn, varve, admin)
  expect(await read('a-password')).toBe(DENIED)
})

it('has its users on every node of a cluster, whichever makes them', async () => {
  const cluster = await startStandInCluster(tls)
  const varve: Account = { username: 'varve', password: 'a-password' }
  const leader = await cluster.leader()
  const followers = cluster.nodes.filter((node) => node !== leader)
  for (const follower of followers.slice(0, 1)) await createUser(follower, varve, admin)
  for (const node of cluster.nodes) {
    await insist(() => appendBy('the batch call', as(node, varve), 'a', newEvent()))
    expect(await outcomeOf(appendBy('the batch call', as(node), 'a', newEvent()))).toBe(DENIED_IN_BATCH)
  }
  // Through discovery, too, whose answers name the nodes.
  const event = newEvent()
  await insist(() => appendBy('the batch call', as(cluster, varve), 'b', event))
  expect(await idsOf(as(leader, varve), 'b')).toEqual([event.id])
})
