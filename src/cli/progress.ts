import { Presets, SingleBar } from 'cli-progress'

export type ProgressLine = { update(done: number, total: number): void; end(): void }

const LINE_EVERY_MS = 5_000

/** A bar on a terminal, a line now and then where there is none. It writes to standard error: standard output is for results. */
export function startProgress(label: string, unit: string): ProgressLine {
  if (process.stderr.isTTY) {
    const bar = new SingleBar({ format: `${label} [{bar}] {percentage} % {value}/{total} ${unit}`, stream: process.stderr }, Presets.rect)
    let started = false
    return {
      update(done, total) {
        if (!started) bar.start(total, done)
        started = true
        bar.setTotal(total)
        bar.update(done)
      },
      end() {
        if (started) bar.stop()
      },
    }
  }
  let shownAt = performance.now()
  let last = ''
  return {
    update(done, total) {
      last = `${label}: ${done} of ${total} ${unit}\n`
      if (performance.now() - shownAt < LINE_EVERY_MS) return
      shownAt = performance.now()
      process.stderr.write(last)
    },
    end() {
      if (last !== '') process.stderr.write(last)
    },
  }
}
