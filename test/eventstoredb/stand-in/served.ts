import type { Access } from './access/access.ts'
import type { Calls } from './calls.ts'
import type { Node } from './node.ts'
import type { Subscriptions } from './rpc/outlet.ts'

/** What the services work with. */
export type Served = { readonly node: Node; readonly calls: Calls; readonly access: Access; readonly subscriptions: Subscriptions }
