import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from './after-all.ts'

/** Writes files into a new folder, and answers their paths. The folder is removed after the test file. */
export function temporaryFiles(): (name: string, content: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'varve-files-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
    return Promise.resolve()
  })
  return (name, content) => {
    const path = join(folder, name)
    writeFileSync(path, content)
    return path
  }
}
