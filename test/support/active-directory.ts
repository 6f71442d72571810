import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'ldapts'
import { isRoot, run, tool } from '../e2e/tools.ts'
import { startDaemon } from './daemon.ts'

/**
 * Whether this machine has a domain controller (`npm run test:setup`), and may open LDAP's own port, which is the only one that it listens
 * on.
 */
export const hasActiveDirectory = isRoot && ['samba', 'samba-tool', 'ldapmodify'].every((name) => tool(name) !== undefined)

export const DOMAIN = 'DC=ad,DC=example,DC=test'
export const administrator = {
  dn: `CN=Administrator,CN=Users,${DOMAIN}`,
  principal: 'administrator@ad.example.test',
  password: 'Adm1n-of-tests',
}

export type ActiveDirectory = {
  /** An address of the loopback that is this controller's alone: ldap on port 389, ldaps on 636. */
  readonly host: string
  /** Applies LDIF as the administrator, entry by entry. */
  modify(ldif: string): Promise<void>
  /** Makes a group the primary one of an account that is in it; the group lists it no longer then. */
  makePrimary(group: string, account: string): Promise<void>
  stop(): Promise<void>
}

/** A line of an account's LDIF: without it, it is disabled. */
export const ENABLED = 'userAccountControl: 512'
export const passwordOf = (name: string): string => `Pw-of-${name}`

export const unitEntry = (dn: string): string => `dn: ${dn}\nobjectClass: organizationalUnit\n`

/** An account below `parent`, with the password of its name and more lines of LDIF. */
export function userEntry(parent: string, name: string, more: readonly string[] = [], principal = `${name}@ad.example.test`): string {
  const lines = ['objectClass: user', `sAMAccountName: ${name}`, `userPrincipalName: ${principal}`, passwordLine(passwordOf(name)), ...more]
  return `dn: CN=${name},${parent}\n${lines.join('\n')}\n`
}

export function groupEntry(parent: string, name: string, members: readonly string[]): string {
  const lines = ['objectClass: group', `sAMAccountName: ${name}`, ...members.map((dn) => `member: ${dn}`)]
  return `dn: CN=${name},${parent}\n${lines.join('\n')}\n`
}

/** A password as Active Directory takes it (MS-ADTS 3.1.1.3.1.5.1). */
const passwordLine = (password: string): string => `unicodePwd:: ${Buffer.from(`"${password}"`, 'utf16le').toString('base64')}`

/**
 * A Samba domain controller for ad.example.test, in a folder of its own, with LDAP alone of its services. Simple binds are taken without
 * TLS too, so that a proxy can count requests. Three wrong passwords lock an account. Ended after the test file at the latest.
 */
export async function startActiveDirectory(certificate: { readonly cert: string; readonly key: string }): Promise<ActiveDirectory> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-ad-'))
  const host = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`
  const options = Object.entries({ interfaces: `${host}/8`, 'bind interfaces only': 'yes' }).map(
    ([name, value]) => `--option=${name}=${value}`,
  )
  const provision = [
    'domain',
    'provision',
    '--realm=AD.EXAMPLE.TEST',
    '--domain=ADTEST',
    '--host-name=dc',
    `--host-ip=${host}`,
    '--server-role=dc',
    '--dns-backend=NONE',
  ]
  await run(tool('samba-tool') ?? 'samba-tool', [
    ...provision,
    `--targetdir=${folder}`,
    `--adminpass=${administrator.password}`,
    ...options,
  ])
  const settings = join(folder, 'etc/smb.conf')
  await run(tool('samba-tool') ?? 'samba-tool', [
    'domain',
    'passwordsettings',
    'set',
    '--account-lockout-threshold=3',
    `--configfile=${settings}`,
    ...options,
  ])
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await writeFile(cert, certificate.cert)
  await writeFile(key, certificate.key, { mode: 0o600 })
  await mkdir(join(folder, 'run'))
  const parameters = {
    'server services': 'ldap',
    'ldap server require strong auth': 'no',
    'tls certfile': cert,
    'tls keyfile': key,
    'tls cafile': cert,
    'log file': join(folder, 'log'),
    'pid directory': join(folder, 'run'),
    'ncalrpc dir': join(folder, 'run/ncalrpc'),
    'ntp signd socket directory': join(folder, 'run/ntp'),
    'winbindd socket directory': join(folder, 'run/winbindd'),
  }
  const { stop } = await startDaemon({
    name: 'samba',
    folder,
    command: [
      ...[tool('samba') ?? 'samba', '-s', settings, '--foreground', '--no-process-group', '--debug-stdout', '-M', 'single', ...options],
      ...Object.entries(parameters).map(([name, value]) => `--option=${name}=${value}`),
    ],
    isReady: (output) => output.includes('process model'),
    listens: { host, port: 636 },
  })
  const bind = ['-x', '-H', `ldaps://${host}`, '-D', administrator.principal, '-w', administrator.password]
  const modify = async (ldif: string): Promise<void> => {
    await run(tool('ldapmodify') ?? 'ldapmodify', ['-a', ...bind], { input: ldif, env: { LDAPTLS_REQCERT: 'never' } })
  }
  return {
    host,
    modify,
    makePrimary: async (group, account) => {
      await modify(`dn: ${account}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: ${await primaryGroupToken(host, group)}\n`)
    },
    stop,
  }
}

async function primaryGroupToken(host: string, dn: string): Promise<string> {
  const client = new Client({ url: `ldap://${host}` })
  await client.bind(administrator.dn, administrator.password)
  const { searchEntries } = await client.search(dn, { scope: 'base', attributes: ['primaryGroupToken'] })
  await client.unbind()
  return String(searchEntries[0]?.['primaryGroupToken'])
}
