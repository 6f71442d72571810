import type { Image } from './images.ts'
import type { Registry } from './registry.ts'
import type { Figures, RegistryName, Unit } from './results.ts'

/** One line of the table: something that is measured in the same way on each registry that takes part. */
export type Row = {
  readonly group: string
  /** Unlike every other row's. */
  readonly name: string
  readonly unit: Unit
  readonly registries: readonly RegistryName[]
  measure(registry: Registry, round: Round): Promise<Figures>
}

export type Round = {
  /** How long a load lasts that could last for any time. */
  readonly seconds: number
  /** What stands in every registry under `library/app:latest`. */
  readonly image: Image
}

export const EVERYBODY: readonly RegistryName[] = ['Varve', 'distribution', 'docker-registry', 'nginx']
