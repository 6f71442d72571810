import type { Server } from 'node:http'
import { BlockList } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll } from './after-all.ts'

/** What tests may call: their own servers. */
export const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const servers = new Set<Server>()
afterAll(async () => {
  await Promise.all([...servers].map(closeServer))
})

/** Lets a server listen on loopback, at a port that is free unless it is given, until the file's tests are over. */
export async function listen(server: Server, port = 0): Promise<number> {
  servers.add(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve)
  })
  return (server.address() as AddressInfo).port
}

export async function closeServer(server: Server): Promise<void> {
  servers.delete(server)
  server.closeAllConnections()
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve()
    })
  })
}
