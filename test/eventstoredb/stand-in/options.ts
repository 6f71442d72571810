import { parseArgs } from 'node:util'

export type Options = {
  readonly host: string
  /** 0 for one that is free. */
  readonly port: number
  readonly folder: string
  /** How long the server says that it is not ready after its port is open, in ms. */
  readonly readyAfterMs: number
}

export const USAGE = 'npm run eventstoredb:stand-in -- --data DIR [--port 2113] [--host 127.0.0.1] [--ready-after MS]'

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '2113' },
      data: { type: 'string' },
      'ready-after': { type: 'string', default: '0' },
    },
  })
  if (values.data === undefined) throw new UsageError('--data is missing')
  return {
    host: values.host,
    port: number(values.port, 'port'),
    folder: values.data,
    readyAfterMs: number(values['ready-after'], 'ready-after'),
  }
}

function number(text: string, name: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`--${name} ${text} is no number`)
  return Number(text)
}
