import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OCI_IMAGE_MANIFEST } from '../src/oci/media-types.ts'
import { childrenOf } from '../test/support/processes.ts'
import { freePort } from '../test/support/server.ts'
import { findProgram } from './programs.ts'
import type { Registry } from './registry.ts'
import type { RegistryName } from './results.ts'
import { track } from './running.ts'

const START_MS = 30_000
const configurations = join(import.meta.dirname, 'peers')

export type PeerName = Exclude<RegistryName, 'Varve'>

/** What is compared with Varve, the program of each, and what brings it. */
export const PEERS = {
  distribution: { program: 'distribution', bring: 'npm run bench -- --setup (builds it with Go)' },
  'docker-registry': { program: 'docker-registry', bring: 'apt-get install docker-registry' },
  nginx: { program: 'nginx', bring: 'apt-get install nginx-light' },
} as const satisfies Record<PeerName, { readonly program: string; readonly bring: string }>

export const PEER_NAMES: readonly PeerName[] = ['distribution', 'docker-registry', 'nginx']

export async function startPeer(name: PeerName): Promise<Registry> {
  return track(await (name === 'nginx' ? startNginx() : startDistribution(name)))
}

async function startDistribution(name: PeerName): Promise<Registry> {
  const folder = await mkdtemp(join(tmpdir(), `varve-bench-${name}-`))
  const port = await freePort()
  const server = await keepRunning(port, () =>
    spawn(programOf(name), ['serve', join(configurations, 'distribution.yml')], {
      stdio: 'ignore',
      env: {
        ...process.env,
        REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: folder,
        OTEL_TRACES_EXPORTER: 'none',
      },
    }),
  )
  return {
    name, port, folder,
    headers: { Accept: OCI_IMAGE_MANIFEST },
    processes: () => ({ server: [server.pid()], database: [] }),
    blobFile(digest) {
      const hex = digest.slice('sha256:'.length)
      return join(folder, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
    },
    restart: () => server.restart(),
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function startNginx(): Promise<Registry> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-nginx-'))
  // nginx that root starts works as nobody.
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'www'))
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(file, (await readFile(join(configurations, 'nginx.conf'), 'utf8')).replace(':PORT', `:${port}`))
  const args = ['-p', folder, '-c', file, '-e', join(folder, 'error.log')]
  const server = await keepRunning(port, () => spawn(programOf('nginx'), args, { stdio: 'ignore' }))
  return {
    name: 'nginx', port, folder,
    headers: {},
    processes: () => ({ server: [server.pid(), ...childrenOf(server.pid())], database: [] }),
    blobFile() {
      throw new Error('nginx takes no blobs')
    },
    restart: () => server.restart(),
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Puts a file where the static server has the path. */
export async function putFile({ folder }: Registry, path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = join(folder, 'www', path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, pieces)
}

const programOf = (name: PeerName): string => findProgram(PEERS[name].program) ?? PEERS[name].program

export const isThere = (name: PeerName): boolean => existsSync(programOf(name))

/** Starts a server, waits until it takes connections, and starts it again on request. */
async function keepRunning(port: number, start: () => ChildProcess) {
  let child = start()
  await answers(port, child)

  async function stop(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }

  return {
    pid: () => child.pid ?? 0,
    stop,
    async restart() {
      await stop()
      const started = performance.now()
      child = start()
      await answers(port, child)
      return (performance.now() - started) / 1000
    },
  }
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  let failure: unknown
  child.once('error', (error) => {
    failure = error
  })
  const deadline = Date.now() + START_MS
  while (Date.now() < deadline) {
    if (failure !== undefined) throw new Error(`${child.spawnfile} did not start`, { cause: failure })
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`)
    const answered = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) }).then(
      (response) => response.arrayBuffer(),
      () => undefined,
    )
    if (answered !== undefined) return
    await sleep(10)
  }
  child.kill('SIGKILL')
  throw new Error(`${child.spawnfile} did not answer in ${START_MS} ms`)
}
