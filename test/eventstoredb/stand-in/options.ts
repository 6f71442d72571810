import { parseArgs } from 'node:util'
import type { Address } from './store/line.ts'

export type Options = {
  readonly host: string
  /** 0 for one that is free. */
  readonly port: number
  readonly folder: string
  /** Where others are told that this node is. */
  readonly advertised: string
  /** All nodes of the cluster, this one among them by its port; none for a node alone. */
  readonly cluster: readonly Address[]
  /** With these it speaks TLS, and asks everybody who they are. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  /** How long the server says that it is not ready after its port is open, in ms. */
  readonly readyAfterMs: number
}

export const USAGE = `npm run eventstoredb:stand-in -- --data DIR [--port 2113] [--host 127.0.0.1]
  [--advertise HOST] [--cluster HOST:PORT,HOST:PORT,HOST:PORT] [--tls-cert FILE --tls-key FILE] [--ready-after MS]`

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
      advertise: { type: 'string' },
      cluster: { type: 'string', default: '' },
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
    advertised: values.advertise ?? values.host,
    cluster: values.cluster.split(',').filter((text) => text !== '').map(parseAddress),
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    readyAfterMs: number(values['ready-after'], 'ready-after'),
  }
}

function number(text: string, name: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`--${name} ${text} is no number`)
  return Number(text)
}

function parseAddress(text: string): Address {
  const [, host, port] = /^(.+):(\d+)$/.exec(text) ?? []
  if (host === undefined || port === undefined) throw new UsageError(`${text} is no address`)
  return { host, port: Number(port) }
}
