import type { Registry } from './registry.ts'

/** Registries that run: a benchmark that is interrupted must leave neither them behind nor their folders, which may hold gigabytes. */
const running = new Set<Registry>()

/** The same registry, known to `stopAll` until it is stopped. */
export function track<R extends Registry>(registry: R): R {
  const tracked = {
    ...registry,
    async stop() {
      running.delete(tracked)
      await registry.stop()
    },
  }
  running.add(tracked)
  return tracked
}

export async function stopAll(): Promise<void> {
  await Promise.allSettled([...running].map((registry) => registry.stop()))
}
