import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { makeUser } from '../support/asking.ts'
import { PASSWORD, PULL, makeProject, makeRobot } from '../support/doors.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { authFile, clientsIn, describeAsRoot, describeWith, storage, trustAll } from './client.ts'
import { fresh, writeFiles, writeLayout, writeTar } from './images.ts'
import type { Engine } from './tools.ts'
import { removeFolder, run, startContainerd, startDockerd } from './tools.ts'

/*
 * The clients that people use, each as several of them: logged in as a developer, a guest, a robot that may pull and somebody without a
 * role, they push and pull as their role says, in a project that nobody else sees.
 */

jest.setTimeout(180_000)

type User = { readonly name: string; readonly secret: string }
/** What somebody does with a client, once they have logged in. */
type Session = { readonly push: () => Promise<unknown>; readonly pull: () => Promise<unknown> }

const REFUSED = /denied|unauthorized|forbidden|insufficient|authentication required|authorization failed|\b40[134]\b|not found|unknown/i

let folder: string
let server: VarveServer
let layout: string
let robot: User
let strangers = 0
const client = clientsIn(() => folder)
const user = (name: string): User => ({ name, secret: PASSWORD })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-roles-'))
  server = await startVarve()
  for (const name of ['dev', 'gus', 'eve']) await makeUser(server, name)
  await makeProject(server, 'team', 'private', { dev: 'developer', gus: 'guest' })
  robot = await makeRobot(server, 'team', 'puller', PULL)
  layout = join(folder, 'layout')
  await writeLayout(layout, { tag: '1', layers: [{ hello: fresh('hello') }] })
})

afterAll(async () => {
  await removeFolder(folder)
})

/** Each of them logs in, and does what they may. Each pushes a tag of their own: what is there already, some clients do not push again. */
function doAsTheirRoleSays(open: (as: User & { readonly role: string }) => Promise<Session>): void {
  const refused = (work: Promise<unknown>): Promise<void> => expect(work).rejects.toThrow(REFUSED)

  test('as a developer pushes and pulls', async () => {
    const { push, pull } = await open({ ...user('dev'), role: 'developer' })
    await push()
    await pull()
  })

  test('as a guest pulls, and pushes nothing', async () => {
    const { push, pull } = await open({ ...user('gus'), role: 'guest' })
    await pull()
    await refused(push())
  })

  test('as a robot that may pull does that, and pushes nothing', async () => {
    const { push, pull } = await open({ ...robot, role: 'robot' })
    await pull()
    await refused(push())
  })

  test('as somebody without a role there gets nothing', async () => {
    const { push, pull } = await open({ ...user('eve'), role: 'nobody' })
    await refused(pull())
    await refused(push())
  })

  test('with a wrong password gets nothing', async () => {
    // A name of its own for each client: too many failures of one name are told to wait.
    const name = `none-${String((strangers += 1))}`
    await expect(open({ name, secret: PASSWORD, role: 'nobody' }).then(({ pull }) => pull())).rejects.toThrow(/unauthorized|invalid username\/password|authorization failed|401/i)
  })
}

describeAsRoot('docker', 'dockerd')('docker', () => {
  let engine: Engine

  beforeAll(async () => {
    engine = await startDockerd(join(folder, 'dockerd'))
    await run('docker', ['--host', `unix://${engine.socket}`, 'import', await writeTar(join(folder, 'docker.tar'), { hello: fresh('hello') }), 'made:1'])
  })
  afterAll(() => engine.stop())

  doAsTheirRoleSays(async ({ name, secret, role }) => {
    const docker = client('docker', (home) => ({ env: { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: join(home, 'config') } }), `docker-${name}`)
    await docker.call(['login', '--username', name, '--password-stdin', server.host], secret)
    const image = (tag: string): string => `${server.host}/team/docker:${tag}`
    await docker.say('tag', 'made:1', image(role))
    return { push: () => docker.say('push', image(role)), pull: () => docker.say('pull', image('developer')) }
  })
})

describeAsRoot('containerd', 'ctr')('containerd', () => {
  let engine: Engine
  let hosts: string
  const ctr = client('ctr', () => ({ args: ['--address', engine.socket] }))
  const image = (tag: string): string => `${server.host}/team/containerd:${tag}`

  beforeAll(async () => {
    engine = await startContainerd(join(folder, 'containerd'))
    hosts = join(folder, 'containerd-hosts')
    await writeFiles(join(hosts, server.host), { 'hosts.toml': `server = "${server.url}"\n[host."${server.url}"]\n  capabilities = ["pull", "resolve", "push"]\n` })
    const own = join(folder, 'containerd-layout')
    await writeLayout(own, { tag: image('made'), layers: [{ hello: fresh('hello') }] })
    await run('tar', ['--create', '--file', `${own}.tar`, '--directory', own, '.'])
    await ctr.say('images', 'import', '--no-unpack', `${own}.tar`)
  })
  afterAll(() => engine.stop())

  // It has no login of its own: each call says who asks.
  doAsTheirRoleSays(({ name, secret, role }) => {
    const as = ['--hosts-dir', hosts, '--user', `${name}:${secret}`]
    return Promise.resolve({
      push: () => ctr.say('images', 'push', ...as, image(role), image('made')),
      pull: () => ctr.say('images', 'pull', ...as, '--snapshotter', 'native', image('developer')),
    })
  })
})

describeAsRoot('podman')('podman', () => {
  const podmanOf = (name: string) =>
    client('podman', (home) => ({
      args: [...storage(join(folder, 'podman')), '--tmpdir', join(folder, 'podman', 'libpod'), '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
      env: authFile(home),
    }), `podman-${name}`)
  const image = (tag: string): string => `${server.host}/team/podman:${tag}`

  beforeAll(async () => {
    const podman = podmanOf('admin')
    await trustAll(podman.home())
    await podman.say('import', '--quiet', await writeTar(join(folder, 'podman.tar'), { hello: fresh('hello') }), 'made:1')
  })

  doAsTheirRoleSays(async ({ name, secret, role }) => {
    const podman = podmanOf(name)
    await trustAll(podman.home())
    await podman.call(['login', '--tls-verify=false', '--username', name, '--password-stdin', server.host], secret)
    return {
      push: () => podman.say('push', '--tls-verify=false', 'localhost/made:1', `docker://${image(role)}`),
      pull: () => podman.say('pull', '--quiet', '--tls-verify=false', image('developer')),
    }
  })
})

describeWith('skopeo')('skopeo', () => {
  doAsTheirRoleSays(async ({ name, secret, role }) => {
    const skopeo = client('skopeo', (home) => ({ env: authFile(home) }), `skopeo-${name}`)
    await trustAll(skopeo.home())
    await skopeo.call(['login', '--tls-verify=false', '--username', name, '--password-stdin', server.host], secret)
    const copy = (from: string, to: string) => skopeo.say('copy', '--src-tls-verify=false', '--dest-tls-verify=false', from, to)
    const remote = (tag: string): string => `docker://${server.host}/team/skopeo:${tag}`
    return { push: () => copy(`oci:${layout}:1`, remote(role)), pull: () => copy(remote('developer'), `oci:${join(skopeo.home(), 'pulled')}:1`) }
  })
})

describeWith('crane')('crane', () => {
  doAsTheirRoleSays(async ({ name, secret, role }) => {
    const crane = client('crane', undefined, `crane-${name}`)
    await crane.call(['auth', 'login', server.host, '--username', name, '--password-stdin'], secret)
    const remote = (tag: string): string => `${server.host}/team/crane:${tag}`
    return { push: () => crane.say('push', layout, remote(role)), pull: () => crane.say('pull', '--format', 'oci', remote('developer'), 'pulled') }
  })
})

describeWith('oras')('oras', () => {
  doAsTheirRoleSays(async ({ name, secret, role }) => {
    const oras = client('oras', undefined, `oras-${name}`)
    await oras.call(['login', '--plain-http', '--username', name, '--password-stdin', server.host], secret)
    const remote = (tag: string): string => `${server.host}/team/oras:${tag}`
    return {
      push: () => oras.say('copy', '--from-oci-layout', '--to-plain-http', '--no-tty', `${layout}:1`, remote(role)),
      pull: () => oras.say('copy', '--from-plain-http', '--to-oci-layout', '--no-tty', remote('developer'), 'pulled:1'),
    }
  })
})

describeWith('regctl')('regctl', () => {
  doAsTheirRoleSays(async ({ name, secret, role }) => {
    const regctl = client('regctl', undefined, `regctl-${name}`)
    await regctl.say('registry', 'set', '--skip-check', '--tls', 'disabled', server.host)
    await regctl.say('registry', 'login', '--user', name, '--pass', secret, server.host)
    const remote = (tag: string): string => `${server.host}/team/regctl:${tag}`
    return { push: () => regctl.say('image', 'copy', `ocidir://${layout}:1`, remote(role)), pull: () => regctl.say('image', 'copy', remote('developer'), 'ocidir://pulled:1') }
  })
})

describeWith('helm')('helm', () => {
  doAsTheirRoleSays(async ({ name, secret, role }) => {
    const helm = client('helm', undefined, `helm-${name}`)
    await helm.call(['registry', 'login', '--plain-http', '--username', name, '--password-stdin', server.host], secret)
    await helm.say('create', 'helm')
    await helm.say('package', '--version', `0.1.0-${role}`, 'helm')
    return {
      push: () => helm.say('push', '--plain-http', `helm-0.1.0-${role}.tgz`, `oci://${server.host}/team`),
      pull: () => helm.say('pull', '--plain-http', '--version', '0.1.0-developer', '--destination', 'tmp', `oci://${server.host}/team/helm`),
    }
  })
})

describeWith('cosign')('cosign', () => {
  const cosignOf = (name: string) => client('cosign', (home) => ({ env: { COSIGN_PASSWORD: '', TUF_ROOT: join(home, 'tuf') } }), `cosign-${name}`)
  let image: string

  beforeAll(async () => {
    const { digest } = await registryClient(server).pushImage('team/cosign', '1', Buffer.from(fresh('layer')))
    image = `${server.host}/team/cosign@${digest}`
    await cosignOf('keys').say('generate-key-pair')
  })

  doAsTheirRoleSays(async ({ name, secret }) => {
    const cosign = cosignOf(name)
    const key = (kind: string): string => join(cosignOf('keys').home(), `cosign.${kind}`)
    await cosign.say('login', '--username', name, '--password', secret, server.host)
    return {
      push: () => cosign.say('sign', '--key', key('key'), '--tlog-upload=false', '--use-signing-config=false', '--yes', image),
      pull: () => cosign.say('verify', '--key', key('pub'), '--insecure-ignore-tlog', image),
    }
  })
})
