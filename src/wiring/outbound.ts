import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Config } from '../config.ts'
import { createOutbound } from '../outbound/client.ts'
import type { Outbound } from '../outbound/client.ts'

/** The client for whatever Varve calls, with the networks and authorities of the configuration. */
export async function openOutbound({ outboundNetworks, outboundCaFile }: Config): Promise<Outbound> {
  const authorities = outboundCaFile === undefined ? {} : { authorities: await authoritiesIn(outboundCaFile) }
  return createOutbound({ allowedNetworks: outboundNetworks, ...authorities })
}

/** The certificate authorities that are trusted beside the system's. */
async function authoritiesIn(file: string): Promise<string> {
  const authorities = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`VARVE_OUTBOUND_CA: ${String(error)}`, { cause: error })
  })
  try {
    // Reads the first, and throws where there is none.
    new X509Certificate(authorities)
  } catch (error) {
    throw new Error(`VARVE_OUTBOUND_CA: ${file} holds no certificate`, { cause: error })
  }
  return authorities
}
