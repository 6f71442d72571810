import type { Registry } from './registry.ts'
import type { Figures, RegistryName, Unit } from './results.ts'

/** One line of the table: something that is measured in the same way on each registry that takes part. */
export type Row = {
  readonly group: string
  /** Unlike every other row's. */
  readonly name: string
  readonly unit: Unit
  readonly registries: readonly RegistryName[]
  /** It is measured in so many rounds at most: where a bound counts and no ratio. */
  readonly rounds?: number
  /** Puts into a registry what is measured on it, before the first round. */
  prepare?(registry: Registry): Promise<unknown>
  /** `seconds`: how long a load lasts that could last for any time. */
  measure(registry: Registry, seconds: number): Promise<Figures>
  /** Ends what the row started of its own, after the last round and after a failure. */
  end?(): Promise<void>
}

export const EVERYBODY: readonly RegistryName[] = ['Varve', 'distribution', 'docker-registry', 'nginx']
/** Those that take pushes. */
export const REGISTRIES: readonly RegistryName[] = ['Varve', 'distribution', 'docker-registry']
