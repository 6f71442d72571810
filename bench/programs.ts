import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where test/tools/setup.sh puts what it builds. */
const builtFolder = join(
  process.env['VARVE_TEST_TOOLS'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'varve-test-tools'),
  'bin',
)

/** The path of a program: one that test/tools/setup.sh built, or one of the system's. nginx is in /usr/sbin on Debian. */
export function findProgram(name: string): string | undefined {
  const folders = [builtFolder, ...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}
