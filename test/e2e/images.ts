import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { OCI_IMAGE_CONFIG } from '../support/media-types.ts'
import { run } from './tools.ts'

/*
 * Images made of nothing but Node and tar, so that a suite needs no other client than the one it is about.
 */

/** Path below the root, and what stands there. Programs are files below `bin/`. */
export type Files = Readonly<Record<string, string | Buffer>>

/** Writes them into a folder and answers it. */
export async function writeFiles(folder: string, files: Files): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content, { mode: name.startsWith('bin/') ? 0o755 : 0o644 })
  }
  return folder
}

/** A tar file of them. */
export async function writeTar(file: string, files: Files): Promise<string> {
  const folder = await writeFiles(`${file}.files`, files)
  await run('tar', ['--create', '--owner=0', '--group=0', '--file', file, '--directory', folder, '.'])
  await rm(folder, { recursive: true })
  return file
}

/** Text that no earlier run had, so that no client finds a layer where it should ask for it. */
export const fresh = (text: string): string => `${text} ${randomBytes(8).toString('hex')}\n`

export type LayoutOptions = {
  readonly tag: string
  /** One image each; more than one stand in an index. */
  readonly platforms?: readonly string[]
  /** A layer each. */
  readonly layers: readonly Files[]
}

type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number }

/** An OCI image layout in a folder. Answers the digest of what the tag names. */
export async function writeLayout(folder: string, { tag, platforms = ['linux/amd64'], layers }: LayoutOptions): Promise<string> {
  const blobs = join(folder, 'blobs/sha256')
  await mkdir(blobs, { recursive: true })

  const put = async (mediaType: string, content: object | Buffer): Promise<Descriptor> => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
    const hex = sha256(bytes)
    await writeFile(join(blobs, hex), bytes)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }

  const tars = []
  for (const [index, files] of layers.entries()) {
    const file = await writeTar(join(folder, `layer-${index}.tar`), files)
    tars.push(await readFile(file))
    await rm(file)
  }

  const images = []
  for (const platform of platforms) {
    const [os, architecture] = platform.split('/')
    const config = await put(OCI_IMAGE_CONFIG, {
      created: new Date().toISOString(),
      architecture,
      os,
      config: { Cmd: ['/bin/busybox', 'sh'] },
      rootfs: { type: 'layers', diff_ids: tars.map((tar) => `sha256:${sha256(tar)}`) },
    })
    const packed = []
    for (const tar of tars) packed.push(await put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar)))
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    images.push({ ...(await put(mediaType, { schemaVersion: 2, mediaType, config, layers: packed })), platform: { os, architecture } })
  }

  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const [only] = images
  const top: Descriptor = images.length === 1 && only !== undefined ? only : await put(mediaType, { schemaVersion: 2, mediaType, manifests: images })
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const named = { ...top, annotations: { 'org.opencontainers.image.ref.name': tag } }
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType, manifests: [named] }))
  return top.digest
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
