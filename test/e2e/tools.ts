import { spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/*
 * The programs that speak to Varve in these tests, and how each is run: with an environment of its own, within a time,
 * and with everything that it keeps in a folder that the test made.
 */

const home = (process.env['HOME'] ?? '') === '' ? userInfo().homedir : (process.env['HOME'] ?? '')
const cacheHome = (process.env['XDG_CACHE_HOME'] ?? '') === '' ? join(home, '.cache') : (process.env['XDG_CACHE_HOME'] ?? '')
/** Where `npm run test:setup` puts the programs that it builds; `test/tools/setup.sh` says the same. */
const cache = (process.env['VARVE_TEST_TOOLS'] ?? '') === '' ? join(cacheHome, 'varve-test-tools') : (process.env['VARVE_TEST_TOOLS'] ?? '')
const path = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => folder !== '')

const isProgram = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** The path of a program: the one that the set-up built, else the machine's, else nothing. */
export function tool(name: string): string | undefined {
  return [join(cache, 'bin'), ...path].map((folder) => join(folder, name)).find(isProgram)
}

export const isRoot = process.getuid?.() === 0

export type RunOptions = {
  /** Added to PATH, which is all that a program is given otherwise: what the machine is set to must not decide a test. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What it reads from its standard input. */
  readonly input?: string
  readonly timeoutMs?: number
}

export type Output = { readonly stdout: string; readonly stderr: string }

/** Runs a program to its end. Anything but exit code 0 is an error that tells what it said. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  const { env = {}, cwd, input, timeoutMs = 120_000 } = options
  const child = spawn(command, args, {
    env: { PATH: path.join(delimiter), ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // A program that does not read closes its end first.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const told = (how: string): Error => new Error(`${[command, ...args].join(' ')} ${how}\n${stdout}${stderr}`)
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(told(`did not end within ${timeoutMs} ms`))
    }, timeoutMs)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve()
      else reject(told(`ended with ${code ?? signal ?? 'nothing'}`))
    })
  })
  return { stdout, stderr }
}

export type Engine = {
  /** What its client is told: a socket. */
  readonly socket: string
  stop(): Promise<void>
}

/** A docker engine of its own in the folder. Registries on the loopback need no setting: it takes them without TLS by itself. */
export async function startDockerd(folder: string): Promise<Engine> {
  const socket = join(folder, 'docker.sock')
  return startEngine(
    'dockerd',
    [
      ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')],
      ...['--host', `unix://${socket}`, '--storage-driver=vfs', '--iptables=false', '--bridge=none'],
    ],
    { folder, socket, isReady: () => answers(socket, '/_ping') },
  )
}

/** A containerd of its own in the folder, without the part for Kubernetes. */
export async function startContainerd(folder: string): Promise<Engine> {
  const socket = join(folder, 'containerd.sock')
  const config = join(folder, 'config.toml')
  await mkdir(folder, { recursive: true })
  await writeFile(
    config,
    `version = 2
root = ${JSON.stringify(join(folder, 'root'))}
state = ${JSON.stringify(join(folder, 'state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = ${JSON.stringify(socket)}
[plugins."io.containerd.internal.v1.opt"]
  path = ${JSON.stringify(join(folder, 'opt'))}
`,
  )
  return startEngine('containerd', ['--config', config], {
    folder,
    socket,
    isReady: () =>
      run(tool('ctr') ?? 'ctr', ['--address', socket, 'version'], { timeoutMs: 5_000 }).then(
        () => true,
        () => false,
      ),
  })
}

type EngineParts = { readonly folder: string; readonly socket: string; readonly isReady: () => Promise<boolean> }

async function startEngine(name: string, args: readonly string[], { folder, socket, isReady }: EngineParts): Promise<Engine> {
  await mkdir(folder, { recursive: true })
  const child = spawn(tool(name) ?? name, args, { env: { PATH: path.join(delimiter), HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve()
    })
    child.once('error', (error) => {
      output += String(error)
      resolve()
    })
  })
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined
  // A worker that exits without its afterAll must not leave an engine behind; asked, not killed, so that it ends what it started.
  const endWithUs = (): boolean => child.kill('SIGTERM')
  process.once('exit', endWithUs)

  const stop = async (): Promise<void> => {
    process.removeListener('exit', endWithUs)
    if (!hasEnded()) {
      child.kill('SIGTERM')
      if ((await Promise.race([ended, delay(30_000, 'late', { ref: false })])) === 'late') child.kill('SIGKILL')
    }
    await ended
  }

  const deadline = Date.now() + 60_000
  while (!(await isReady())) {
    if (hasEnded() || Date.now() > deadline) {
      await stop()
      throw new Error(`${name} did not start:\n${output}`)
    }
    await delay(100)
  }
  return { socket, stop }
}

const answers = (socketPath: string, pathname: string): Promise<boolean> =>
  new Promise((resolve) => {
    get({ socketPath, path: pathname, timeout: 5_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => {
      resolve(false)
    })
  })

/** Removes a folder in which engines lived: what they left mounted in it is taken off first. */
export async function removeFolder(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((each) => each.startsWith(`${folder}/`)).reverse()) await run('umount', ['--lazy', mount])
  await rm(folder, { recursive: true, force: true })
}
