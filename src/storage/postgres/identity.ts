import { readFile, stat } from 'node:fs/promises'
import { hasCode } from '../durable.ts'

/** A user and group for `spawn`, and the command, if any, that a program of Postgres is run through. */
export type Identity = { readonly uid?: number; readonly gid?: number; readonly wrapper: readonly string[] }

/**
 * As whom Postgres runs. It refuses to run as root, so root runs it as the data folder's owner; a folder of root's own is entered
 * through a user namespace in which root's files belong to an ordinary user. No system user is made.
 */
export async function identityFor(folder: string): Promise<Identity> {
  if (process.getuid?.() !== 0) return { wrapper: [] }
  const owner = await stat(folder)
  return owner.uid === 0
    ? { wrapper: ['unshare', '--user', `--map-user=${await knownUser()}`, '--'] }
    : { uid: owner.uid, gid: owner.gid, wrapper: [] }
}

/** An ordinary user that this system has, since initdb looks its own up; any will do, as it is only root's name in the namespace. */
async function knownUser(): Promise<string> {
  const entries = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n')
  const users = entries.map((entry) => entry.split(':')[2] ?? '').filter((uid) => /^[1-9][0-9]*$/.test(uid))
  return users.find((uid) => uid === '65534') ?? users[0] ?? '65534'
}

/** The command that runs a program as that identity, and its parameters. */
export function wrapped(identity: Identity, program: string, parameters: readonly string[]): [string, string[]] {
  const [first = program, ...rest] = [...identity.wrapper, program, ...parameters]
  return [first, rest]
}

/** The user and group as `spawn` takes them: without what is not set. */
export function ids({ uid, gid }: { readonly uid?: number; readonly gid?: number }): { uid?: number; gid?: number } {
  return { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) }
}

/** What a program of Postgres said, with a remedy where it is about the user that it runs as. */
export function explain(output: string): string {
  const said = output.trim()
  if (/unshare/.test(output)) {
    return (
      `${said}\nPostgres refuses to run as root, and no user namespace can be made here. Start Varve as an ordinary user, ` +
      'give the data folder to one (chown), or set VARVE_POSTGRES_URL'
    )
  }
  return /could not look up effective user/.test(output)
    ? `${said}\nPostgres needs its user to stand in /etc/passwd: start Varve as one that does, or set VARVE_POSTGRES_URL`
    : said
}

/** The error to show where a program could not be spawned. */
export function withoutProgram(program: string, error: unknown): Error {
  if (!hasCode(error, 'ENOENT') || program !== 'unshare') return new Error(`${program} could not be started`, { cause: error })
  return new Error(
    'Postgres refuses to run as root, and this system has no unshare (util-linux). Start Varve as an ordinary user, give the data ' +
      'folder to one (chown), or set VARVE_POSTGRES_URL',
    { cause: error },
  )
}
