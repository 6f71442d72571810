import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { bindSearchAccount, connect } from '../../../src/identity/ldap/connection.ts'
import { createLdapDirectory } from '../../../src/identity/ldap/directory.ts'
import type { LdapDirectory } from '../../../src/identity/ldap/directory.ts'
import type { LdapSettings } from '../../../src/identity/ldap/settings.ts'
import { one, two } from '../../support/certificates.ts'
import { startLdapProxy } from '../../support/ldap-proxy.ts'
import { stopProcesses } from '../../support/postgres-processes.ts'
import { freePort } from '../../support/server.ts'
import { hasSlapd, searchAccount, startSlapd, SUFFIX } from '../../support/slapd.ts'
import type { Slapd } from '../../support/slapd.ts'
import { until } from '../../support/until.ts'

/* How a directory is reached: encrypted or not at all, and told as unavailable within the time, for a reason in plain words. */

const settings: LdapSettings = {
  url: '',
  startTls: false,
  verifyCertificate: true,
  certificateAuthorities: one.cert,
  searchDn: searchAccount.dn,
  searchPassword: searchAccount.password,
  baseDn: SUFFIX,
  filter: '',
  uid: 'uid',
  scope: 'sub',
  groupBaseDn: '',
  groupFilter: '',
  groupNameAttribute: 'cn',
  groupScope: 'sub',
  groupAdminDn: '',
  groupMembershipAttribute: 'memberof',
  nestedGroups: true,
  timeoutMs: 20_000,
  connections: 4,
}

const ALICE = `dn: uid=alice,${SUFFIX}\nobjectClass: inetOrgPerson\nuid: alice\ncn: Alice\nsn: Adams\nuserPassword: pw-alice\n`

const open = new Set<LdapDirectory>()
const ends: (() => Promise<void> | void)[] = []
afterAll(async () => {
  for (const each of open) each.close()
  for (const end of ends) await end()
})

function directory(changed: Partial<LdapSettings>): LdapDirectory {
  const opened = createLdapDirectory({ ...settings, ...changed })
  open.add(opened)
  return opened
}

const unavailable = (reason: string, detail?: string) => ({ status: 'unavailable', reason, ...(detail === undefined ? {} : { detail }) })

/** A server of one's own: what it was sent, and how many came. */
async function startServer(answer: (socket: Socket, sent: Buffer) => void, tls?: { readonly cert: string; readonly key: string }) {
  const sockets = new Set<Socket>()
  const sent: Buffer[] = []
  let connections = 0
  const take = (socket: Socket): void => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      sent.push(bytes)
      answer(socket, bytes)
    })
  }
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, sent: () => Buffer.concat(sent), connections: () => connections, open: () => sockets.size }
}

/**
 * A response to the first request of a connection (ldapts begins with message 2) with a result code: 0x78 an extended one, 0x61 one to a
 * bind.
 */
const response = (tag: number, code: number): Buffer => Buffer.from([0x30, 12, 2, 1, 2, tag, 7, 0x0a, 1, code, 4, 0, 4, 0])

const silent = (): void => undefined

describe('a directory that does not answer', () => {
  it('is told where nothing listens', async () => {
    for (const url of [`ldap://127.0.0.1:${await freePort()}`, `ldaps://127.0.0.1:${await freePort()}`]) {
      expect(await directory({ url }).ping()).toEqual(unavailable('cannot connect', 'ECONNREFUSED'))
      expect(await directory({ url }).authenticate('alice', 'pw-alice')).toEqual(unavailable('cannot connect', 'ECONNREFUSED'))
      expect(await directory({ url }).groupsOf({ dn: 'uid=alice', name: 'alice' })).toEqual(unavailable('cannot connect', 'ECONNREFUSED'))
      expect(await directory({ url }).searchUsers('a')).toEqual(unavailable('cannot connect', 'ECONNREFUSED'))
    }
  })

  it.each<[string, Partial<LdapSettings>]>([
    ['ldap', {}],
    ['ldaps', {}],
    ['ldap', { startTls: true }],
  ])('is told within the time by %s where it takes connections and says nothing: %j', async (scheme, changed) => {
    const server = await startServer(silent)
    const waiting = directory({ url: `${scheme}://127.0.0.1:${server.port}`, timeoutMs: 200, ...changed })
    expect(await waiting.ping()).toEqual(unavailable('timed out'))
    await until(() => server.open() === 0, 'the end of every connection')
    expect(server.connections()).toBe(1)
  })

  it('is told within the time where it takes StartTLS and then says nothing', async () => {
    const server = await startServer((socket, sent) => {
      if (sent[0] === 0x30) socket.write(response(0x78, 0))
    })
    const waiting = directory({ url: `ldap://127.0.0.1:${server.port}`, timeoutMs: 200, startTls: true, connections: 1 })
    // The place that one had is free for the next.
    expect([await waiting.ping(), await waiting.ping()]).toEqual([unavailable('timed out'), unavailable('timed out')])
    await until(() => server.open() === 0, 'the end of every connection')
  })

  it('counts the wait for a connection as time', async () => {
    const server = await startServer(silent)
    const waiting = directory({ url: `ldap://127.0.0.1:${server.port}`, timeoutMs: 300, connections: 1 })
    const answers = await Promise.all(Array.from({ length: 5 }, () => waiting.ping()))
    expect(answers).toEqual(Array(5).fill(unavailable('timed out')))
  })

  it('is reached by no more connections at once than the settings say', async () => {
    const server = await startServer(silent)
    const few = directory({ url: `ldap://127.0.0.1:${server.port}`, connections: 2 })
    const answers = Array.from({ length: 20 }, () => few.ping())
    await until(() => server.open() === 2, 'two connections')
    few.close()
    expect(await Promise.all(answers)).toEqual(Array(20).fill(unavailable('closed')))
    await until(() => server.open() === 0, 'the end of every connection')
    expect(server.connections()).toBe(2)
  })

  it('is told where it closes in the middle', async () => {
    const server = await startServer((socket) => socket.end())
    expect(await directory({ url: `ldap://127.0.0.1:${server.port}` }).ping()).toEqual(unavailable('cannot connect'))
    expect(server.connections()).toBe(1)
  })

  it('is not connected to again by itself', async () => {
    // Whoever ends a connection that was encrypted by StartTLS would be given the password on one that is not.
    const server = await startServer((socket) => socket.end())
    const reached = { ...settings, url: `ldap://127.0.0.1:${server.port}` }
    const connection = await connect(reached, new AbortController().signal)
    for (let attempt = 0; attempt < 2; attempt += 1) await expect(bindSearchAccount(connection, reached)).rejects.toThrow('cannot connect')
    connection.end()
    expect(server.connections()).toBe(1)
  })

  it('ends with the module', async () => {
    const server = await startServer(silent)
    const closing = directory({ url: `ldap://127.0.0.1:${server.port}`, connections: 1 })
    const answers = [closing.ping(), closing.authenticate('alice', 'pw-alice')]
    await until(() => server.open() > 0, 'a connection')
    closing.close()
    expect(await Promise.all([...answers, closing.ping()])).toEqual(Array(3).fill(unavailable('closed')))
    await until(() => server.open() === 0, 'the end of every connection')
  })
})

describe('a directory that refuses StartTLS', () => {
  it.each([1, 2, 52, 80])('is sent no password after result %d', async (code) => {
    const server = await startServer((socket) => socket.write(response(0x78, code)))
    expect(await directory({ url: `ldap://127.0.0.1:${server.port}`, startTls: true }).authenticate('alice', 'pw-alice')).toEqual(
      unavailable('StartTLS refused', `LDAP result ${code}`),
    )
    expect(server.sent().includes(searchAccount.password)).toBe(false)
    expect(server.connections()).toBe(1)
  })

  it('is sent no password on another connection where it closes after it took it', async () => {
    const server = await startServer((socket) => socket.end(response(0x78, 0)))
    const answer = await directory({ url: `ldap://127.0.0.1:${server.port}`, startTls: true, timeoutMs: 2000 }).authenticate(
      'alice',
      'pw-alice',
    )
    expect(answer).toMatchObject({ status: 'unavailable' })
    expect(server.connections()).toBe(1)
    expect(server.sent().includes('secret')).toBe(false)
  })

  it('is told where it wants encryption', async () => {
    const server = await startServer((socket) => socket.write(response(0x61, 13)))
    expect(await directory({ url: `ldap://127.0.0.1:${server.port}` }).ping()).toEqual(unavailable('encryption required', 'LDAP result 13'))
  })
})

const describeWithSlapd = hasSlapd ? describe : describe.skip

describeWithSlapd('an encrypted OpenLDAP server', () => {
  let good: Slapd
  /** Its certificate is for 127.0.0.1 alone. */
  let other: Slapd
  let plain: Slapd

  beforeAll(async () => {
    ;[good, other, plain] = await Promise.all([startSlapd(ALICE, one), startSlapd(ALICE, two), startSlapd(ALICE)])
  })

  it.each(['127.0.0.1', 'localhost'])('is used by LDAPS and by StartTLS at %s', async (host) => {
    expect(await directory({ url: `ldaps://${host}:${good.tlsPort}` }).authenticate('alice', 'pw-alice')).toMatchObject({
      status: 'authenticated',
      name: 'alice',
    })
    expect(await directory({ url: `ldap://${host}:${good.port}`, startTls: true }).authenticate('alice', 'pw-alice')).toMatchObject({
      status: 'authenticated',
      name: 'alice',
    })
    expect(await directory({ url: `ldaps://${host}:${good.tlsPort}` }).authenticate('alice', 'wrong')).toEqual({
      status: 'refused',
      reason: 'wrong password',
    })
  })

  it('is told nothing before it is encrypted', async () => {
    const proxy = await startLdapProxy({ host: '127.0.0.1', port: good.port })
    ends.push(() => {
      proxy.stop()
    })
    expect(await directory({ url: `ldap://127.0.0.1:${proxy.port}`, startTls: true }).authenticate('alice', 'pw-alice')).toMatchObject({
      status: 'authenticated',
    })
    expect((await proxy.take()).map(({ kind }) => kind)).toEqual(['extended', 'encrypted'])
  })

  it.each([true, false])("is not used where its certificate is another's, StartTLS %j", async (startTls) => {
    const urlOf = (slapd: Slapd, host = '127.0.0.1'): string =>
      startTls ? `ldap://${host}:${slapd.port}` : `ldaps://${host}:${slapd.tlsPort}`
    const ping = (url: string, changed: Partial<LdapSettings> = {}) => directory({ url, startTls, ...changed }).ping()
    // An authority that is not trusted.
    expect(await ping(urlOf(other))).toEqual(unavailable('certificate not trusted', 'DEPTH_ZERO_SELF_SIGNED_CERT'))
    // Another host's name.
    expect(await ping(urlOf(other, 'localhost'), { certificateAuthorities: two.cert })).toEqual(
      unavailable('certificate not trusted', 'ERR_TLS_CERT_ALTNAME_INVALID'),
    )
    expect(await ping(urlOf(other), { certificateAuthorities: two.cert })).toMatchObject({ status: 'reachable' })
    // Not verified, since the operator said so.
    expect(await ping(urlOf(other, 'localhost'), { verifyCertificate: false })).toMatchObject({ status: 'reachable' })
  })

  it('is told where it knows no StartTLS', async () => {
    expect(await directory({ url: `ldap://127.0.0.1:${plain.port}`, startTls: true }).ping()).toMatchObject(unavailable('StartTLS refused'))
  })

  it('is told where it is frozen, and used again when it goes on', async () => {
    const frozen = directory({ url: `ldap://127.0.0.1:${plain.port}`, timeoutMs: 500 })
    expect(await frozen.authenticate('alice', 'pw-alice')).toMatchObject({ status: 'authenticated' })
    await stopProcesses([plain.pid])
    try {
      expect(await frozen.authenticate('alice', 'pw-alice')).toEqual(unavailable('timed out'))
    } finally {
      process.kill(plain.pid, 'SIGCONT')
    }
    expect(await directory({ url: `ldap://127.0.0.1:${plain.port}` }).authenticate('alice', 'pw-alice')).toMatchObject({
      status: 'authenticated',
    })
  })

  it('is told where it has ended', async () => {
    const ended = directory({ url: `ldap://127.0.0.1:${plain.port}` })
    expect(await ended.ping()).toMatchObject({ status: 'reachable' })
    await plain.stop()
    expect(await ended.authenticate('alice', 'pw-alice')).toEqual(unavailable('cannot connect', 'ECONNREFUSED'))
  })
})
