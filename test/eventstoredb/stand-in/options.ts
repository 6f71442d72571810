import { parseArgs } from 'node:util'

export type Options = {
  readonly host: string
  /** 0 for one that is free. */
  readonly port: number
  readonly folder: string
  /** With these it speaks TLS, and asks everybody who they are. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  /** How long the server says that it is not ready after its port is open, in ms. */
  readonly readyAfterMs: number
}

export const USAGE = `npm run eventstoredb:stand-in -- --data DIR [--port 2113] [--host 127.0.0.1]
  [--tls-cert FILE --tls-key FILE] [--ready-after MS]`

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
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'ready-after': { type: 'string', default: '0' },
    },
  })
  if (values.data === undefined) throw new UsageError('--data is missing')
  const { 'tls-cert': certFile, 'tls-key': keyFile } = values
  if ((certFile === undefined) !== (keyFile === undefined)) throw new UsageError('--tls-cert and --tls-key belong together')
  return {
    host: values.host,
    port: number(values.port, 'port'),
    folder: values.data,
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    readyAfterMs: number(values['ready-after'], 'ready-after'),
  }
}

function number(text: string, name: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`--${name} ${text} is no number`)
  return Number(text)
}
