/** How long a connection may take to be made. */
export const CONNECT_TIMEOUT_MS = 5_000

/** What `pg` needs to connect; `host` is the folder of the Unix socket. */
export type Connection = { readonly host: string; readonly port: number; readonly user: string; readonly database: string }

export const USER = 'varve'
export const DATABASE = 'varve'
export const PORT = 5432

/** How to reach a postmaster that listens there. */
export function connectionTo({ socketFolder, port }: { readonly socketFolder: string; readonly port: number }): Connection {
  return { host: socketFolder, port, user: USER, database: DATABASE }
}
