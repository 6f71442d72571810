import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, tool } from '../e2e/tools.ts'
import { startDaemon } from './daemon.ts'
import { freePort } from './server.ts'

/** Whether this machine has it (`npm run test:setup`). */
export const hasSlapd = tool('slapd') !== undefined && tool('slapadd') !== undefined

export type Slapd = {
  readonly pid: number
  /** Of ldap://127.0.0.1, and of ldaps:// there where it has a certificate. */
  readonly port: number
  readonly tlsPort: number
  stop(): Promise<void>
}

export const SUFFIX = 'dc=example,dc=test'

/** The account that may read everything, page by page; users may read nothing. */
export const searchAccount = { dn: `cn=search,${SUFFIX}`, password: 'search-secret' }
/** One that may read everything, but no more of it at once than slapd gives by itself: 500 entries, in however many pages. */
export const limitedAccount = { dn: `cn=limited,${SUFFIX}`, password: 'limited-secret' }

/**
 * An OpenLDAP server with these entries (LDIF, below the suffix, which is made) and nothing else, on the loopback and in a folder of its
 * own. Ended after the test file at the latest.
 */
export async function startSlapd(ldif: string, certificate?: { readonly cert: string; readonly key: string }): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-slapd-'))
  const inFolder = (name: string): string => join(folder, name)
  await mkdir(inFolder('data'))
  await writeFile(inFolder('cert.pem'), certificate?.cert ?? '')
  await writeFile(inFolder('key.pem'), certificate?.key ?? '', { mode: 0o600 })
  await writeFile(
    inFolder('slapd.conf'),
    `${['core', 'cosine', 'inetorgperson', 'nis'].map((schema) => `include /etc/ldap/schema/${schema}.schema`).join('\n')}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
${certificate === undefined ? '' : `TLSCertificateFile ${inFolder('cert.pem')}\nTLSCertificateKeyFile ${inFolder('key.pem')}`}
pidfile ${inFolder('pid')}
database mdb
suffix "${SUFFIX}"
directory ${inFolder('data')}
maxsize 67108864
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="${searchAccount.dn}" read by dn.exact="${limitedAccount.dn}" read by * none
limits dn.exact="${searchAccount.dn}" size.prtotal=unlimited
`,
  )
  await writeFile(
    inFolder('data.ldif'),
    `dn: ${SUFFIX}
objectClass: domain
dc: example

${[searchAccount, limitedAccount].map(accountEntry).join('\n')}
${ldif}`,
  )
  await run(tool('slapadd') ?? 'slapadd', ['-q', '-f', inFolder('slapd.conf'), '-l', inFolder('data.ldif')])
  const [port, tlsPort] = [await freePort(), await freePort()]
  const urls = [`ldap://127.0.0.1:${port}`, ...(certificate === undefined ? [] : [`ldaps://127.0.0.1:${tlsPort}`])]
  const { child, stop } = await startDaemon({
    name: 'slapd',
    folder,
    // With -d it stays in the foreground.
    command: [tool('slapd') ?? 'slapd', '-d', 'stats', '-f', inFolder('slapd.conf'), '-h', urls.join(' ')],
    isReady: (output) => output.includes('slapd starting'),
    listens: { host: '127.0.0.1', port: certificate === undefined ? port : tlsPort },
  })
  return { pid: child.pid ?? 0, port, tlsPort, stop }
}

function accountEntry({ dn, password }: typeof searchAccount): string {
  const name = /^cn=(\w+)/.exec(dn)?.[1] ?? ''
  return `dn: ${dn}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: ${name}\nuserPassword: ${password}\n`
}
