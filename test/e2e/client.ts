import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe } from '@jest/globals'
import { writeFiles } from './images.ts'
import { isRoot, run, tool } from './tools.ts'

export const has = (...names: readonly string[]): boolean => names.every((name) => tool(name) !== undefined)
/** Skipped where the machine lacks a part. */
export const describeWith = (...names: readonly string[]): typeof describe.skip => (has(...names) ? describe : describe.skip)
/** Engines mount, and make namespaces. */
export const describeAsRoot = (...names: readonly string[]): typeof describe.skip => (isRoot ? describeWith(...names) : describe.skip)

export type Client = ReturnType<ReturnType<typeof clientsIn>>

/** Clients as they are called: what one keeps stands in a folder of its own below `folder`, which is also where it runs. */
export function clientsIn(folder: () => string) {
  /** `homeName`: where it is the client of one of several users. */
  return function client(name: string, settings: (home: string) => { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = () => ({}), homeName = name) {
    const home = (): string => join(folder(), homeName)

    const call = async (args: readonly string[], input?: string) => {
      await mkdir(join(home(), 'tmp'), { recursive: true })
      const { args: always = [], env = {} } = settings(home())
      const options = { cwd: home(), env: { HOME: home(), TMPDIR: join(home(), 'tmp'), ...env }, ...(input === undefined ? {} : { input }) }
      return run(tool(name) ?? name, [...always, ...args], options)
    }

    return {
      home,
      call,
      /** What it wrote to its standard output. */
      say: async (...args: string[]): Promise<string> => (await call(args)).stdout.trim(),
      /** The same, as the JSON that it is. */
      tell: async <T>(...args: string[]): Promise<T> => JSON.parse((await call(args)).stdout) as T,
      /** What it complained of. */
      fail: async (...args: string[]): Promise<string> => {
        const outcome = await call(args).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (!(outcome instanceof Error)) throw new Error(`${name} ${args.join(' ')} should have failed`)
        return outcome.message
      },
    }
  }
}

/** podman, buildah and skopeo ask a policy what they may trust, and keep their logins in a file. */
export async function trustAll(home: string): Promise<void> {
  await writeFiles(home, {
    '.config/containers/policy.json': JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }),
    'auth.json': '{}',
  })
}

export const storage = (home: string): readonly string[] => ['--root', join(home, 'storage'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs']
export const authFile = (home: string): Readonly<Record<string, string>> => ({ REGISTRY_AUTH_FILE: join(home, 'auth.json') })
