import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './tools.ts'

export type Certificates = { readonly caFile: string; readonly certFile: string; readonly keyFile: string }

/** A certificate authority that nobody knows, and its certificate for 127.0.0.1. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  await mkdir(folder, { recursive: true })
  const inFolder = (name: string): string => join(folder, name)
  const made = { caFile: inFolder('ca.crt'), certFile: inFolder('server.crt'), keyFile: inFolder('server.key') }
  const [caKeyFile, request] = [inFolder('ca.key'), inFolder('server.csr')]
  const extensions = inFolder('server.ext')
  await writeFile(extensions, 'basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', ['req', '-x509', ...key, '-keyout', caKeyFile, '-out', made.caFile, '-days', '2', '-subj', '/CN=A private authority'])
  await run('openssl', ['req', ...key, '-keyout', made.keyFile, '-out', request, '-subj', '/CN=127.0.0.1'])
  await run('openssl', ['x509', '-req', '-in', request, '-CA', made.caFile, '-CAkey', caKeyFile, '-CAcreateserial', '-out', made.certFile, '-days', '2', '-extfile', extensions])
  return made
}
