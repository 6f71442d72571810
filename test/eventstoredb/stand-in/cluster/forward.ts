import { parseWriteResult, plainWrite } from './writes.ts'
import type { OwnResult } from './writes.ts'
import type { Address } from '../store/line.ts'
import type { Write } from '../store/writer.ts'

/**
 * Has another node make a write. Where that node gives no answer, or `signal` aborts, nobody knows whether it did. Nodes speak in clear
 * with each other, on the door that is there for tests.
 */
export async function forward({ host, port }: Address, write: Write, signal: AbortSignal): Promise<OwnResult> {
  try {
    const body = JSON.stringify(plainWrite(write))
    const response = await fetch(`http://${host}:${port}/stand-in/writes`, { method: 'POST', body, signal })
    return response.ok ? parseWriteResult(await response.json()) : { kind: 'interrupted' }
  } catch (error) {
    if (error instanceof TypeError || signal.aborted) return { kind: 'interrupted' }
    throw error
  }
}
