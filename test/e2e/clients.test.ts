import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { makeCertificates } from './certificates.ts'
import type { Certificates } from './certificates.ts'
import { authFile, clientsIn, describeAsRoot, describeWith, has, storage, trustAll } from './client.ts'
import type { Client } from './client.ts'
import { fresh, writeFiles, writeLayout, writeTar } from './images.ts'
import type { Files } from './images.ts'
import type { Engine } from './tools.ts'
import { isRoot, removeFolder, run, startContainerd, startDockerd, tool } from './tools.ts'

/*
 * The clients that people use, each as it comes, against one Varve. A client has a home of its own and repositories of its
 * own (`docker/…`, `crane/…`): each begins by pushing into a project that does not exist yet.
 */

jest.setTimeout(180_000)

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'

let folder: string
let server: VarveServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-clients-'))
  server = await startVarve()
})

afterAll(async () => {
  await removeFolder(folder)
})

const client = clientsIn(() => folder)

type Descriptor = { readonly mediaType: string; readonly digest: string; readonly artifactType?: string; readonly platform?: { readonly architecture: string } }
type Manifest = { readonly mediaType: string; readonly layers?: readonly Descriptor[]; readonly manifests?: readonly Descriptor[] }

/** What Varve holds under a reference. */
async function manifestOf(name: string, reference: string): Promise<Manifest> {
  const accept = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(', ')
  const response = await registryClient(server).call('GET', `/v2/${name}/manifests/${reference}`, { headers: { Accept: accept } })
  if (!response.ok) throw new Error(`${name}:${reference} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Manifest
}

const referrersOf = async (name: string, digest: string): Promise<readonly Descriptor[]> =>
  ((await (await registryClient(server).call('GET', `/v2/${name}/referrers/${digest}`)).json()) as { readonly manifests: readonly Descriptor[] }).manifests

/** A program that runs anywhere, and a file that no earlier run had. */
const runnable = async (): Promise<Files> => ({ 'bin/busybox': await readFile(tool('busybox') ?? ''), hello: fresh('hello') })

describeAsRoot('docker', 'dockerd', 'busybox')('docker', () => {
  let engine: Engine
  const dockerWith = (config: string): Client =>
    client('docker', (home) => ({ env: { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: join(home, config) } }))
  const docker = dockerWith('admin')
  const digestIn = (text: string): string | undefined => /digest: (sha256:[0-9a-f]{64})/i.exec(text)?.[1]
  let files: Files
  let image: string
  let digest: string | undefined

  beforeAll(async () => {
    engine = await startDockerd(join(folder, 'dockerd'))
    files = { ...(await runnable()), one: fresh('one'), two: fresh('two') }
    image = `${server.host}/docker/app:1`
    const context = await writeFiles(join(folder, 'docker-context'), { ...files, Dockerfile: 'FROM base:1\nCOPY one /one\nCOPY two /two\n' })
    await docker.say('import', await writeTar(join(folder, 'docker-base.tar'), { 'bin/busybox': files['bin/busybox'] ?? '' }), 'base:1')
    await docker.say('build', '--tag', image, context)
    await docker.call(['login', '--username', server.user, '--password-stdin', server.host], server.password)
    digest = digestIn(await docker.say('push', image))
  })
  afterAll(() => engine.stop())

  test('is refused without a login, and with a wrong password', async () => {
    const stranger = dockerWith('stranger')
    expect(await stranger.fail('push', image)).toMatch(/denied|unauthorized|authentication required/i)
    expect(await stranger.fail('pull', image)).toMatch(/denied|unauthorized|authentication required/i)
    expect(await stranger.fail('login', '--username', server.user, '--password', 'wrong', server.host)).toMatch(/unauthorized/i)
  })

  test('pushed an image of three layers, pulls it back and runs it', async () => {
    const { mediaType, layers } = await manifestOf('docker/app', '1')
    expect(mediaType).toBe(DOCKER_MANIFEST)
    expect(layers).toHaveLength(3)

    await docker.say('rmi', image, 'base:1')
    expect(await docker.say('images', '--all', '--quiet')).toBe('')
    expect(digestIn(await docker.say('pull', image))).toBe(digest)
    expect(await docker.say('run', '--rm', '--network', 'none', image, '/bin/busybox', 'cat', '/one', '/two')).toBe(`${String(files['one'])}${String(files['two'])}`.trim())
  })

  test('pulls by digest', async () => {
    const named = `${server.host}/docker/app@${String(digest)}`
    await docker.say('rmi', '--force', image)
    await docker.say('pull', named)
    expect(await docker.say('run', '--rm', '--network', 'none', named, '/bin/busybox', 'cat', '/one')).toBe(String(files['one']).trim())
    await docker.say('tag', named, image)
  })

  test('finds in another repository of its own what it pushed before', async () => {
    const other = `${server.host}/docker/other:1`
    await docker.say('tag', image, other)
    expect(await docker.say('push', other)).toContain('Mounted from docker/app')
    expect(await docker.say('push', other)).toContain('Layer already exists')
  })

  test('pushes a manifest list and pulls its platform from it', async () => {
    const list = `${server.host}/docker/list:1`
    await docker.say('manifest', 'create', '--insecure', list, image)
    await docker.say('manifest', 'push', '--insecure', list)
    expect((await manifestOf('docker/list', '1')).mediaType).toBe(DOCKER_LIST)
    await docker.say('pull', list)
    expect(await docker.say('run', '--rm', '--network', 'none', list, '/bin/busybox', 'cat', '/two')).toBe(String(files['two']).trim())
  })

  test('is told that a tag does not exist', async () => {
    expect(await docker.fail('pull', `${server.host}/docker/app:none`)).toMatch(/manifest.*(unknown|not found)/i)
  })
})

describeAsRoot('containerd', 'ctr', 'runc', 'busybox')('containerd', () => {
  let engine: Engine
  const ctr = client('ctr', () => ({ args: ['--address', engine.socket] }))
  let hosts: string
  const login = (): string => `${server.user}:${server.password}`

  beforeAll(async () => {
    engine = await startContainerd(join(folder, 'containerd'))
    hosts = join(folder, 'containerd-hosts')
    await writeFiles(join(hosts, server.host), {
      'hosts.toml': `server = "${server.url}"\n[host."${server.url}"]\n  capabilities = ["pull", "resolve", "push"]\n`,
    })
  })
  afterAll(() => engine.stop())

  test('pushes an index of two platforms, pulls it back and runs it', async () => {
    const image = `${server.host}/containerd/app:1`
    const files = await runnable()
    const layout = join(folder, 'containerd-layout')
    const digest = await writeLayout(layout, { tag: image, platforms: ['linux/amd64', 'linux/arm64'], layers: [files, { more: fresh('more') }] })
    await run('tar', ['--create', '--file', `${layout}.tar`, '--directory', layout, '.'])
    await ctr.say('images', 'import', '--all-platforms', '--no-unpack', `${layout}.tar`)
    await ctr.say('images', 'push', '--hosts-dir', hosts, '--user', login(), image)
    const { mediaType, manifests } = await manifestOf('containerd/app', '1')
    expect(mediaType).toBe(OCI_INDEX)
    expect(manifests).toHaveLength(2)

    await ctr.say('images', 'remove', '--sync', image)
    await ctr.say('images', 'pull', '--hosts-dir', hosts, '--user', login(), '--snapshotter', 'native', image)
    expect(await ctr.say('images', 'list', `name==${image}`)).toContain(digest)
    // On a busy machine ctr loses the output of what ends before it listens.
    const say = ['/bin/busybox', 'sh', '-c', '/bin/busybox cat /hello; /bin/busybox sleep 1']
    expect(await ctr.say('run', '--rm', '--snapshotter', 'native', image, 'varve-test', ...say)).toBe(String(files['hello']).trim())
  })

  test('is refused with a wrong password', async () => {
    expect(await ctr.fail('images', 'pull', '--hosts-dir', hosts, '--user', 'admin:wrong', '--snapshotter', 'native', `${server.host}/containerd/app:1`)).toMatch(/401|unauthorized|authorization failed/i)
  })
})

describeAsRoot('podman', 'busybox')('podman', () => {
  const podman = client('podman', (home) => ({
    args: [...storage(home), '--tmpdir', join(home, 'libpod'), '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
    env: authFile(home),
  }))
  let files: Files
  let context: string

  /** Pulls into an empty storage, and reads a file of the image. */
  const pullAndRead = async (image: string, file: string): Promise<{ digest: string; content: string }> => {
    await podman.say('rmi', '--all', '--force')
    await podman.say('pull', '--quiet', '--tls-verify=false', image)
    const digest = await podman.say('image', 'inspect', '--format', '{{.Digest}}', image)
    const content = await readFile(join(await podman.say('image', 'mount', image), file), 'utf8')
    await podman.say('image', 'unmount', image)
    return { digest, content }
  }

  const push = async (image: string, ...args: string[]): Promise<string> => {
    await podman.say('push', '--tls-verify=false', '--digestfile', 'digest', ...args, image)
    return (await readFile(join(podman.home(), 'digest'), 'utf8')).trim()
  }

  beforeAll(async () => {
    await trustAll(podman.home())
    files = await runnable()
    context = await writeFiles(join(folder, 'podman-context'), { ...files, Containerfile: 'FROM scratch\nCOPY bin/busybox /bin/busybox\nCOPY hello /hello\n' })
    await podman.say('login', '--tls-verify=false', '--username', server.user, '--password', server.password, server.host)
  })

  test('is refused with a wrong password', async () => {
    expect(await podman.fail('login', '--tls-verify=false', '--username', server.user, '--password', 'wrong', server.host)).toMatch(/invalid username\/password/)
  })

  test.each([
    ['OCI', OCI_MANIFEST],
    ['docker', DOCKER_MANIFEST],
  ])('builds, pushes and pulls back an image in the %s format', async (format, mediaType) => {
    const image = `${server.host}/podman/app:${format}`
    await podman.say('build', '--quiet', '--layers', '--format', format.toLowerCase(), '--tag', image, context)
    const digest = await push(image)
    expect((await manifestOf('podman/app', format)).mediaType).toBe(mediaType)
    expect(await pullAndRead(image, 'hello')).toEqual({ digest, content: files['hello'] })
  })

  test('makes an index of two platforms, pushes it and pulls its own from it', async () => {
    const list = `${server.host}/podman/multi:1`
    await podman.say('manifest', 'create', list)
    for (const architecture of ['amd64', 'arm64']) {
      const image = `${server.host}/podman/multi:${architecture}`
      // Its cache would take the other platform's image for this one's, since nothing else differs.
      await podman.say('build', '--quiet', '--no-cache', '--platform', `linux/${architecture}`, '--tag', image, context)
      await podman.say('manifest', 'add', list, `containers-storage:${image}`)
    }
    await podman.say('manifest', 'push', '--all', '--tls-verify=false', list, `docker://${list}`)
    const { mediaType, manifests = [] } = await manifestOf('podman/multi', '1')
    expect(mediaType).toBe(OCI_INDEX)
    expect(manifests.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64'])
    expect((await pullAndRead(list, 'hello')).content).toBe(files['hello'])
  })
})

describeAsRoot('buildah', 'busybox')('buildah', () => {
  const buildah = client('buildah', (home) => ({ args: storage(home), env: authFile(home) }))

  test('pushes an image with zstd layers, pulls it back and reads it', async () => {
    await trustAll(buildah.home())
    await buildah.say('login', '--tls-verify=false', '--username', server.user, '--password', server.password, server.host)
    const image = `${server.host}/buildah/app:1`
    const files = await writeFiles(join(folder, 'buildah-files'), await runnable())
    const made = await buildah.say('from', 'scratch')
    await buildah.say('copy', made, files, '/')
    await buildah.say('commit', '--quiet', '--format', 'oci', made, image)
    await buildah.say('push', '--tls-verify=false', '--digestfile', 'digest', '--compression-format', 'zstd', image)
    const digest = (await readFile(join(buildah.home(), 'digest'), 'utf8')).trim()
    const { mediaType, layers = [] } = await manifestOf('buildah/app', '1')
    expect(mediaType).toBe(OCI_MANIFEST)
    expect(layers.map((layer) => layer.mediaType)).toEqual(['application/vnd.oci.image.layer.v1.tar+zstd'])

    await buildah.say('rm', made)
    await buildah.say('rmi', '--all', '--force')
    await buildah.say('pull', '--quiet', '--tls-verify=false', `${server.host}/buildah/app@${digest}`)
    await buildah.say('pull', '--quiet', '--tls-verify=false', image)
    const pulled = await buildah.say('from', '--pull-never', image)
    expect(await readFile(join(await buildah.say('mount', pulled), 'hello'), 'utf8')).toBe(await readFile(join(files, 'hello'), 'utf8'))
    await buildah.say('rm', pulled)
  })
})

describeWith('skopeo')('skopeo', () => {
  const skopeo = client('skopeo', (home) => ({ env: authFile(home) }))
  const copy = (from: string, to: string, ...args: string[]): Promise<string> => skopeo.say('copy', '--src-tls-verify=false', '--dest-tls-verify=false', ...args, from, to)
  const remote = (name: string): string => `docker://${server.host}/skopeo/${name}`
  const digestOf = (name: string): Promise<string> => skopeo.say('inspect', '--tls-verify=false', '--format', '{{.Digest}}', remote(name))
  let local: string
  let digest: string

  beforeAll(async () => {
    await trustAll(skopeo.home())
    await skopeo.say('login', '--tls-verify=false', '--username', server.user, '--password', server.password, server.host)
    const layout = join(folder, 'skopeo-layout')
    digest = await writeLayout(layout, { tag: '1', layers: [{ hello: fresh('hello') }, { world: fresh('world') }] })
    local = `oci:${layout}:1`
  })

  test('copies an OCI image in and out, byte for byte', async () => {
    await copy(local, remote('app:oci'))
    expect(await digestOf('app:oci')).toBe(digest)
    const back = join(folder, 'skopeo-back')
    await copy(remote('app:oci'), `oci:${back}:1`)
    const index = JSON.parse(await readFile(join(back, 'index.json'), 'utf8')) as Manifest
    expect(index.manifests?.map((each) => each.digest)).toEqual([digest])
  })

  test('makes schema 2 of it and OCI again, in other repositories', async () => {
    await copy(local, remote('source:1'))
    await copy(remote('source:1'), remote('docker:1'), '--format', 'v2s2')
    expect((await manifestOf('skopeo/docker', '1')).mediaType).toBe(DOCKER_MANIFEST)
    await copy(remote('docker:1'), remote('oci:1'), '--format', 'oci')
    expect((await manifestOf('skopeo/oci', '1')).mediaType).toBe(OCI_MANIFEST)
    const layersOf = async (name: string): Promise<string[]> => ((await manifestOf(`skopeo/${name}`, '1')).layers ?? []).map((layer) => layer.digest)
    expect(await layersOf('oci')).toEqual(await layersOf('docker'))
  })

  test('copies an index with all its platforms', async () => {
    const layout = join(folder, 'skopeo-index')
    const index = await writeLayout(layout, { tag: '1', platforms: ['linux/amd64', 'linux/arm64', 'linux/s390x'], layers: [{ hello: fresh('hello') }] })
    await copy(`oci:${layout}:1`, remote('multi:1'), '--all')
    await copy(remote('multi:1'), remote('multi-copy:1'), '--all')
    await copy(remote('multi-copy:1'), `oci:${layout}-back:1`, '--all')
    const back = JSON.parse(await readFile(join(`${layout}-back`, 'index.json'), 'utf8')) as Manifest
    expect(back.manifests?.map((each) => each.digest)).toEqual([index])
  })

  test('lists tags and deletes', async () => {
    await copy(local, remote('gone:1'))
    await copy(local, remote('gone:2'))
    const tags = async (): Promise<readonly string[]> => (await skopeo.tell<{ Tags: string[] }>('list-tags', '--tls-verify=false', remote('gone'))).Tags
    expect(await tags()).toEqual(['1', '2'])
    // skopeo looks up the digest of what it deletes, and with a manifest go all its tags.
    await skopeo.say('delete', '--tls-verify=false', remote('gone:1'))
    expect(await tags()).toEqual([])
    expect(await skopeo.fail('inspect', '--tls-verify=false', remote('gone:2'))).toMatch(/manifest unknown/i)
  })
})

describeWith('crane')('crane', () => {
  const crane = client('crane')
  const remote = (name: string): string => `${server.host}/crane/${name}`
  let content: string

  beforeAll(async () => {
    await crane.say('auth', 'login', server.host, '--username', server.user, '--password', server.password)
    content = fresh('content')
    const layer = await writeTar(join(folder, 'crane-layer.tar'), { content })
    await crane.say('append', '--oci-empty-base', '--new_layer', layer, '--new_tag', remote('app:1'))
  })

  test('pushes, and pulls what it pushed', async () => {
    const digest = await crane.say('digest', remote('app:1'))
    await crane.say('pull', '--format', 'oci', remote('app:1'), 'pulled')
    await crane.say('push', 'pulled', remote('pushed:1'))
    expect(await crane.say('digest', remote('pushed:1'))).toBe(digest)
    await crane.say('validate', '--remote', remote('pushed:1'))
    await crane.say('export', remote('pushed:1'), 'files.tar')
    expect((await run('tar', ['--extract', '--to-stdout', '--file', join(crane.home(), 'files.tar'), 'content'])).stdout).toBe(content)
    expect(await crane.tell<Manifest>('manifest', remote('pushed:1'))).toEqual(await manifestOf('crane/app', '1'))
  })

  test('copies between repositories, tags and lists', async () => {
    await crane.say('copy', remote('app:1'), remote('copy:1'))
    await crane.say('tag', remote('copy:1'), '2')
    expect((await crane.say('ls', remote('copy'))).split('\n')).toEqual(['1', '2'])
    const catalogue = (await crane.say('catalog', server.host)).split('\n')
    expect(catalogue).toEqual(expect.arrayContaining(['crane/app', 'crane/copy']))
    expect(catalogue).toEqual([...catalogue].sort())
  })

  test('appends two images to an index', async () => {
    await crane.say('mutate', '--set-platform', 'linux/arm64', '--tag', remote('multi:arm64'), remote('app:1'))
    await crane.say('mutate', '--set-platform', 'linux/amd64', '--tag', remote('multi:amd64'), remote('app:1'))
    await crane.say('index', 'append', '--manifest', remote('multi:arm64'), '--manifest', remote('multi:amd64'), '--tag', remote('multi:1'))
    expect((await manifestOf('crane/multi', '1')).manifests).toHaveLength(2)
    expect(await crane.say('digest', '--platform', 'linux/arm64', remote('multi:1'))).toBe(await crane.say('digest', remote('multi:arm64')))
    await crane.say('validate', '--remote', remote('multi:1'))
  })

  test('deletes a tag alone, then the manifest with every tag', async () => {
    for (const tag of ['1', '2', '3']) await crane.say('copy', remote('app:1'), remote(`gone:${tag}`))
    const digest = await crane.say('digest', remote('gone:1'))
    await crane.say('delete', remote('gone:2'))
    expect((await crane.say('ls', remote('gone'))).split('\n')).toEqual(['1', '3'])
    expect(await crane.say('digest', remote(`gone@${digest}`))).toBe(digest)
    await crane.say('delete', remote(`gone@${digest}`))
    expect(await crane.say('ls', remote('gone'))).toBe('')
    expect(await crane.fail('digest', remote('gone:1'))).toMatch(/MANIFEST_UNKNOWN|404/)
    // Another repository with the same manifest keeps it.
    expect(await crane.say('digest', remote('app:1'))).toBe(digest)
  })
})

describeWith('oras')('oras', () => {
  const oras = client('oras')
  const remote = (name: string): string => `${server.host}/oras/${name}`
  const referrers = async (name: string, ...args: string[]): Promise<readonly Descriptor[]> =>
    (await oras.tell<{ referrers: Descriptor[] }>('discover', '--plain-http', '--format', 'json', ...args, remote(name))).referrers
  let subject: Descriptor
  let attached: Descriptor

  beforeAll(async () => {
    await oras.say('login', '--plain-http', '--username', server.user, '--password', server.password, server.host)
    await writeFiles(oras.home(), { 'thing.txt': fresh('thing'), 'list.txt': fresh('list'), 'note.txt': fresh('note') })
    const push = ['--plain-http', '--no-tty', '--format', 'json', '--artifact-type']
    subject = await oras.tell('push', ...push, 'application/vnd.test.thing', remote('thing:1'), 'thing.txt:text/plain')
    attached = await oras.tell('attach', ...push, 'application/vnd.test.list', remote('thing:1'), 'list.txt:text/plain')
    await oras.tell('attach', ...push, 'application/vnd.test.note', remote('thing:1'), 'note.txt:text/plain')
  })

  test('pulls the artifact that it pushed', async () => {
    await oras.say('pull', '--plain-http', '--no-tty', '--output', 'pulled', remote('thing:1'))
    expect(await readFile(join(oras.home(), 'pulled/thing.txt'), 'utf8')).toBe(await readFile(join(oras.home(), 'thing.txt'), 'utf8'))
  })

  test('discovers what it attached, all of it and one kind', async () => {
    expect((await referrers('thing:1')).map(({ artifactType }) => artifactType).sort()).toEqual(['application/vnd.test.list', 'application/vnd.test.note'])
    expect((await referrers('thing:1', '--artifact-type', 'application/vnd.test.list')).map(({ digest }) => digest)).toEqual([attached.digest])
    expect(await oras.say('repo', 'tags', '--plain-http', remote('thing'))).toBe('1')
  })

  test('copies it with all that is attached', async () => {
    await oras.say('copy', '--recursive', '--from-plain-http', '--to-plain-http', '--no-tty', remote('thing:1'), remote('copy:1'))
    expect(await oras.say('resolve', '--plain-http', remote('copy:1'))).toBe(subject.digest)
    expect(await referrers('copy:1')).toHaveLength(2)
    expect((await oras.say('repo', 'ls', '--plain-http', remote(''))).split('\n')).toEqual(expect.arrayContaining(['copy', 'thing']))
  })

  test('deletes what is attached, and then the artifact', async () => {
    await oras.say('copy', '--recursive', '--from-plain-http', '--to-plain-http', '--no-tty', remote('thing:1'), remote('gone:1'))
    await oras.say('manifest', 'delete', '--plain-http', '--force', remote(`gone@${attached.digest}`))
    expect((await referrers('gone:1')).map(({ artifactType }) => artifactType)).toEqual(['application/vnd.test.note'])
    await oras.say('manifest', 'delete', '--plain-http', '--force', remote('gone:1'))
    expect(await oras.fail('manifest', 'fetch', '--plain-http', remote(`gone@${subject.digest}`))).toContain('not found')
    expect(await oras.say('resolve', '--plain-http', remote('thing:1'))).toBe(subject.digest)
  })

  test('pushes, fetches and deletes a blob', async () => {
    const content = fresh('blob')
    await writeFiles(oras.home(), { 'blob.txt': content })
    const { digest } = await oras.tell<Descriptor>('blob', 'push', '--plain-http', '--no-tty', '--descriptor', remote('thing'), 'blob.txt')
    expect(await oras.say('blob', 'fetch', '--plain-http', '--output', '-', remote(`thing@${digest}`))).toBe(content.trim())
    await oras.say('blob', 'delete', '--plain-http', '--force', remote(`thing@${digest}`))
    expect(await oras.fail('blob', 'fetch', '--plain-http', '--output', '-', remote(`thing@${digest}`))).toContain('not found')
  })
})

describeWith('regctl')('regctl', () => {
  const regctl = client('regctl')
  const remote = (name: string): string => `${server.host}/regctl/${name}`
  const referrers = async (name: string): Promise<readonly Descriptor[]> =>
    (await regctl.tell<{ descriptors?: Descriptor[] }>('artifact', 'list', '--format', '{{json .}}', remote(name))).descriptors ?? []
  let digest: string

  beforeAll(async () => {
    await regctl.say('registry', 'set', '--skip-check', '--tls', 'disabled', server.host)
    await regctl.say('registry', 'login', '--user', server.user, '--pass', server.password, server.host)
    digest = await writeLayout(join(regctl.home(), 'layout'), { tag: '1', platforms: ['linux/amd64', 'linux/arm64'], layers: [{ hello: fresh('hello') }] })
    await regctl.say('image', 'copy', 'ocidir://layout:1', remote('app:1'))
  })

  test('copies an index of two platforms between repositories, with what refers to it', async () => {
    await regctl.call(['artifact', 'put', '--artifact-type', 'application/vnd.test.note', '--subject', remote('app:1')], fresh('note'))
    expect((await referrers('app:1')).map(({ artifactType }) => artifactType)).toEqual(['application/vnd.test.note'])
    await regctl.say('image', 'copy', '--referrers', remote('app:1'), remote('copy:1'))
    expect(await regctl.say('image', 'digest', remote('copy:1'))).toBe(digest)
    expect(await referrers('copy:1')).toEqual(await referrers('app:1'))
    expect(await regctl.tell('image', 'config', '--platform', 'linux/arm64', '--format', '{{json .}}', remote('copy:1'))).toMatchObject({ architecture: 'arm64' })
  })

  test('makes an index of its own', async () => {
    await regctl.say('index', 'create', '--ref', remote('app:1'), '--platform', 'linux/arm64', remote('index:1'))
    expect((await manifestOf('regctl/index', '1')).manifests).toHaveLength(1)
  })

  test('lists tags and deletes one, and not what it named', async () => {
    for (const tag of ['1', '2', '3']) await regctl.say('image', 'copy', remote('app:1'), remote(`gone:${tag}`))
    await regctl.say('tag', 'delete', remote('gone:2'))
    expect((await regctl.say('tag', 'ls', remote('gone'))).split('\n')).toEqual(['1', '3'])
    expect(await regctl.say('manifest', 'head', remote(`gone@${digest}`))).toContain(digest)
    expect((await regctl.say('repo', 'ls', server.host)).split('\n')).toEqual(expect.arrayContaining(['regctl/app', 'regctl/gone']))
  })

  test('finds the layers of one platform', async () => {
    const { layers = [] } = await manifestOf('regctl/app', await regctl.say('image', 'digest', '--platform', 'linux/amd64', remote('app:1')))
    expect(layers).toHaveLength(1)
    for (const layer of layers) expect(await regctl.say('blob', 'head', remote('app'), layer.digest)).toContain(layer.digest)
  })
})

describeWith('helm')('helm', () => {
  const helm = client('helm')

  test('pushes a chart, shows it and pulls it back', async () => {
    await helm.call(['registry', 'login', '--plain-http', '--username', server.user, '--password-stdin', server.host], server.password)
    await helm.say('create', 'chart')
    const note = fresh('a note')
    await writeFiles(join(helm.home(), 'chart'), { 'note.txt': note })
    await helm.say('package', 'chart')
    const said = await helm.call(['push', '--plain-http', 'chart-0.1.0.tgz', `oci://${server.host}/helm`])
    const chart = `oci://${server.host}/helm/chart`
    expect(await helm.say('show', 'chart', '--plain-http', chart)).toContain('name: chart')
    await helm.say('pull', '--plain-http', '--version', '0.1.0', '--destination', 'tmp', chart)
    expect(await readFile(join(helm.home(), 'tmp/chart-0.1.0.tgz'))).toEqual(await readFile(join(helm.home(), 'chart-0.1.0.tgz')))
    await helm.say('pull', '--plain-http', '--untar', '--destination', 'tmp', `${chart}@${/sha256:[0-9a-f]{64}/.exec(`${said.stdout}${said.stderr}`)?.[0] ?? ''}`)
    expect(await readFile(join(helm.home(), 'tmp/chart/note.txt'), 'utf8')).toBe(note)
  })
})

describeWith('cosign')('cosign', () => {
  const cosign = client('cosign', (home) => ({ env: { COSIGN_PASSWORD: 'of the key', TUF_ROOT: join(home, 'tuf') } }))
  // No public log and no services named by one: nothing here asks another host.
  const offline = ['--tlog-upload=false', '--use-signing-config=false', '--yes']
  const asTag = '--new-bundle-format=false'

  const push = async (name: string): Promise<{ readonly image: string; readonly digest: string }> => {
    const { digest } = await registryClient(server).pushImage(name, '1', Buffer.from(fresh('layer')))
    return { image: `${server.host}/${name}@${digest}`, digest }
  }
  const tagsOf = async (name: string): Promise<readonly string[]> =>
    ((await (await registryClient(server).call('GET', `/v2/${name}/tags/list`)).json()) as { readonly tags: readonly string[] }).tags
  const verify = (image: string, ...args: string[]): Promise<{ readonly critical: { readonly image: Record<string, string> } }[]> =>
    cosign.tell('verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', ...args, image)

  beforeAll(async () => {
    await cosign.say('login', '--username', server.user, '--password', server.password, server.host)
    await cosign.say('generate-key-pair')
  })

  test('signs by a tag and verifies it', async () => {
    const { image, digest } = await push('cosign/tagged')
    expect(await cosign.fail('verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', asTag, image)).toContain('no signatures found')
    await cosign.say('sign', '--key', 'cosign.key', ...offline, asTag, image)
    expect(await tagsOf('cosign/tagged')).toEqual(['1', `${digest.replace(':', '-')}.sig`])
    expect(await referrersOf('cosign/tagged', digest)).toEqual([])
    expect((await verify(image, asTag)).map(({ critical }) => critical.image)).toEqual([{ 'docker-manifest-digest': digest }])
  })

  test('signs by a referrer and verifies it', async () => {
    const { image, digest } = await push('cosign/referred')
    await cosign.say('sign', '--key', 'cosign.key', ...offline, image)
    expect(await tagsOf('cosign/referred')).toEqual(['1'])
    expect((await referrersOf('cosign/referred', digest)).map(({ artifactType }) => artifactType)).toEqual(['application/vnd.dev.sigstore.bundle.v0.3+json'])
    expect((await verify(image)).map(({ critical }) => critical.image)).toEqual([{ 'docker-manifest-digest': digest }])
  })

  test('trusts no signature of another key', async () => {
    const { image } = await push('cosign/foreign')
    await cosign.say('generate-key-pair', '--output-key-prefix', 'other')
    await cosign.say('sign', '--key', 'other.key', ...offline, image)
    expect(await cosign.fail('verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', image)).toMatch(/no matching|invalid signature|failed to verify/i)
  })
})

describeWith('openssl')('HTTPS with a private certificate authority', () => {
  let secure: VarveServer
  let certificates: Certificates
  let certFolder: string
  let layout: string
  const testWith = (...names: readonly string[]): typeof test.skip => (has(...names) ? test : test.skip)
  const remote = (name: string): string => `${secure.host}/secure/${name}`
  const unknown = /certificate signed by unknown authority/

  beforeAll(async () => {
    certificates = await makeCertificates(join(folder, 'certificates'))
    // podman, skopeo and buildah take every *.crt in a folder for an authority.
    certFolder = join(folder, 'certificates-d')
    await writeFiles(certFolder, { 'ca.crt': await readFile(certificates.caFile) })
    secure = await startVarve({ tls: certificates })
    layout = join(folder, 'secure-layout')
    await writeLayout(layout, { tag: '1', layers: [{ hello: fresh('hello') }] })
  })

  testWith('skopeo')('skopeo', async () => {
    const skopeo = client('skopeo', (home) => ({ env: authFile(home) }))
    await trustAll(skopeo.home())
    expect(await skopeo.fail('login', '--username', secure.user, '--password', secure.password, secure.host)).toMatch(unknown)
    await skopeo.say('login', '--cert-dir', certFolder, '--username', secure.user, '--password', secure.password, secure.host)
    await skopeo.say('copy', '--dest-cert-dir', certFolder, `oci:${layout}:1`, `docker://${remote('skopeo:1')}`)
    await skopeo.say('copy', '--src-cert-dir', certFolder, `docker://${remote('skopeo:1')}`, `oci:${layout}-skopeo:1`)
    expect(await skopeo.fail('copy', `docker://${remote('skopeo:1')}`, `oci:${layout}-none:1`)).toMatch(unknown)
  })

  ;(isRoot && has('podman') ? test : test.skip)('podman', async () => {
    const podman = client('podman', (home) => ({ args: [...storage(home), '--tmpdir', join(home, 'libpod'), '--events-backend', 'none'], env: authFile(home) }))
    await trustAll(podman.home())
    await podman.say('login', '--cert-dir', certFolder, '--username', secure.user, '--password', secure.password, secure.host)
    const context = await writeFiles(join(folder, 'secure-context'), { hello: fresh('hello'), Containerfile: 'FROM scratch\nCOPY hello /hello\n' })
    await podman.say('build', '--quiet', '--tag', remote('podman:1'), context)
    await podman.say('push', '--cert-dir', certFolder, remote('podman:1'))
    expect(await podman.fail('pull', '--quiet', remote('podman:1'))).toMatch(unknown)
    await podman.say('pull', '--quiet', '--cert-dir', certFolder, remote('podman:1'))
  })

  testWith('crane')('crane', async () => {
    const crane = client('crane', () => ({ env: { SSL_CERT_FILE: certificates.caFile } }))
    await crane.say('auth', 'login', secure.host, '--username', secure.user, '--password', secure.password)
    await crane.say('push', layout, remote('crane:1'))
    await crane.say('validate', '--remote', remote('crane:1'))
  })

  testWith('oras')('oras', async () => {
    const oras = client('oras')
    await oras.say('login', '--ca-file', certificates.caFile, '--username', secure.user, '--password', secure.password, secure.host)
    await oras.say('copy', '--from-oci-layout', '--to-ca-file', certificates.caFile, '--no-tty', `${layout}:1`, remote('oras:1'))
    await oras.say('resolve', '--ca-file', certificates.caFile, remote('oras:1'))
    expect(await oras.fail('resolve', remote('oras:1'))).toMatch(unknown)
  })

  testWith('regctl')('regctl', async () => {
    const regctl = client('regctl')
    await regctl.say('registry', 'set', '--skip-check', '--cacert', await readFile(certificates.caFile, 'utf8'), secure.host)
    await regctl.say('registry', 'login', '--user', secure.user, '--pass', secure.password, secure.host)
    await regctl.say('image', 'copy', `ocidir://${layout}:1`, remote('regctl:1'))
    await regctl.say('image', 'digest', remote('regctl:1'))
  })

  testWith('helm')('helm', async () => {
    const helm = client('helm')
    const trust = ['--ca-file', certificates.caFile]
    await helm.call(['registry', 'login', ...trust, '--username', secure.user, '--password-stdin', secure.host], secure.password)
    await helm.say('create', 'secure-chart')
    await helm.say('package', 'secure-chart')
    await helm.say('push', ...trust, 'secure-chart-0.1.0.tgz', `oci://${secure.host}/secure`)
    await helm.say('pull', ...trust, '--destination', 'tmp', `oci://${secure.host}/secure/secure-chart`)
    expect(await helm.fail('pull', '--destination', 'tmp', `oci://${secure.host}/secure/secure-chart`)).toMatch(unknown)
  })

  testWith('cosign', 'crane')('cosign', async () => {
    const { digest } = await pushSecurely()
    const cosign = client('cosign', (home) => ({ env: { COSIGN_PASSWORD: '', TUF_ROOT: join(home, 'tuf') } }))
    const login = ['--registry-cacert', certificates.caFile, '--registry-username', secure.user, '--registry-password', secure.password]
    await cosign.say('generate-key-pair', '--output-key-prefix', 'secure')
    await cosign.say('sign', '--key', 'secure.key', '--tlog-upload=false', '--use-signing-config=false', '--yes', ...login, remote(`cosign@${digest}`))
    await cosign.say('verify', '--key', 'secure.pub', '--insecure-ignore-tlog', ...login, remote(`cosign@${digest}`))
  })

  ;(isRoot && has('containerd', 'ctr', 'runc', 'crane') ? test : test.skip)('containerd', async () => {
    const engine = await startContainerd(join(folder, 'containerd-secure'))
    const ctr = client('ctr', () => ({ args: ['--address', engine.socket] }))
    try {
      const { digest } = await pushSecurely()
      const image = remote(`cosign@${digest}`)
      const pull = ['images', 'pull', '--user', `${secure.user}:${secure.password}`, '--snapshotter', 'native', '--hosts-dir']
      const [trusting, doubting] = [join(folder, 'hosts-trusting'), join(folder, 'hosts-doubting')]
      const host = `server = "${secure.url}"\n[host."${secure.url}"]\n  capabilities = ["pull", "resolve"]\n`
      await writeFiles(join(trusting, secure.host), { 'hosts.toml': `${host}  ca = ${JSON.stringify(certificates.caFile)}\n` })
      await writeFiles(join(doubting, secure.host), { 'hosts.toml': host })
      expect(await ctr.fail(...pull, doubting, image)).toMatch(unknown)
      await ctr.say(...pull, trusting, image)
    } finally {
      await engine.stop()
    }
  })

  async function pushSecurely(): Promise<{ readonly digest: string }> {
    const digest = await writeLayout(join(folder, 'secure-pushed'), { tag: '1', layers: [{ hello: fresh('hello') }] })
    const crane = client('crane', () => ({ env: { SSL_CERT_FILE: certificates.caFile } }))
    await crane.say('auth', 'login', secure.host, '--username', secure.user, '--password', secure.password)
    await crane.say('push', join(folder, 'secure-pushed'), remote('cosign:1'))
    return { digest }
  }
})
