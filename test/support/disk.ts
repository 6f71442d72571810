import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Disk = {
  readonly folder: string
  /** Takes what is left, to the last block. */
  fill(): void
  /** Gives back what `fill` took. */
  free(): void
  unmount(): void
}

const run = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0

/** An ext4 file system of its own, in a file that takes no more than is written; undefined where this process may not mount one. */
export function mountDisk(sizeBytes: number): Disk | undefined {
  const home = mkdtempSync(join(tmpdir(), 'varve-disk-'))
  const [image, folder] = [join(home, 'image'), join(home, 'mounted')]
  const filler = join(folder, 'filler')
  const forget = () => {
    rmSync(home, { recursive: true, force: true })
  }
  mkdirSync(folder)
  writeFileSync(image, '')
  truncateSync(image, sizeBytes)
  if (!run('mkfs.ext4', '-q', '-m', '0', image) || !run('mount', '-o', 'loop', image, folder)) {
    forget()
    return undefined
  }
  return {
    folder,
    fill() {
      let taken = 0
      for (let piece = 2 ** 30; piece >= 4096; piece /= 2) {
        while (run('fallocate', '-o', taken.toString(), '-l', piece.toString(), filler)) taken += piece
      }
    },
    free() {
      rmSync(filler, { force: true })
    },
    unmount() {
      run('umount', '-l', folder)
      forget()
    },
  }
}
