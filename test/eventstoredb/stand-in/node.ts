import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { FIRST_PASSWORD, FIRST_USERS, findUser, userEvent, userStream } from './access/users.ts'
import { listens, readMember, writeMember } from './cluster/members.ts'
import type { Member } from './rpc/gossip.ts'
import { load } from './store/load.ts'
import type { Address, Header } from './store/line.ts'
import { createLog } from './store/log.ts'
import type { Log } from './store/log.ts'
import { beginTerm, readOn } from './store/terms.ts'
import type { Cursor, Term } from './store/terms.ts'
import { createWriter } from './store/writer.ts'
import type { Write, Writer } from './store/writer.ts'

/*
 * A node leads or follows. Whoever begins a term in the data folder (store/terms.ts) leads, and writes; the others read what it wrote, and
 * hand writes on to it. They know the leader from the header of the last term, and that it is still there from its file and its port; once
 * it is not, they know of none, until one of them begins the next term. A node alone leads at once.
 */

export type Role =
  /** It still reads its data, or looks for a leader for the first time: it does nothing yet. */
  | { readonly kind: 'starting' }
  /** It has lost its leader: subscriptions go on, nothing else is done. */
  | { readonly kind: 'unknown' }
  /** `lost` aborts when that leader is lost. */
  | { readonly kind: 'follower'; readonly leader: Address; readonly lost: AbortController }
  | { readonly kind: 'leader'; readonly writer: Writer; readonly term: Term }
  | { readonly kind: 'ending' }

/** A server, as the calls see it. */
export type Node = {
  readonly log: Log
  readonly role: Role
  members(): readonly Member[]
  /** Begins to serve. */
  start(): Promise<void>
  /** Lets another node lead, and follows. */
  resign(): Promise<void>
  /** Takes no writes any more; those under way are told that they were interrupted. */
  end(): Promise<void>
}

export type NodeOptions = {
  readonly folder: string
  /** It has users. */
  readonly isSecure: boolean
  readonly self: () => Address
  /** The other nodes. */
  readonly peers: readonly Address[]
  /** Called when another process took over from this one while it led: what it has in memory need not be what counts. */
  readonly onDeposed: () => void
}

const TURN_MS = 50
/** How often a node says that it is there. */
const ANNOUNCE_MS = 100
/** A file that is older than this makes others look whether the process is still there. */
const SUSPECT_MS = 300
/** A leader that was killed is replaced after this time, and one that is frozen after that, as was measured on the real server. */
const KILLED_MS = 1000
const FROZEN_MS = 5500
/** So that not all begin at once. */
const RANK_MS = 400
/** For how long a node that resigned leaves it to the others. */
const RESIGNED_MS = 3000

export function createNode({ folder, isSecure, self, peers, onDeposed }: NodeOptions): Node {
  const id = randomUUID()
  const log = createLog()
  let role: Role = { kind: 'starting' }
  let cursor: Cursor | undefined
  let last: Header | undefined
  /** Since when there is no leader, in ms since 1970. */
  let leaderlessSince: number | undefined
  let resignedAt = -Infinity
  let announcedAt = -Infinity
  /** Since when it is open where the last term ends, in ms since 1970. */
  let undecidedSince: number | undefined
  /** The ports of the nodes that do not listen any more. */
  const ended = new Set<number>()

  const announce = (state: Member['state'], term: number): void => {
    if (peers.length === 0) return
    announcedAt = Date.now()
    writeMember(folder, self().port, { id, state, term, at: announcedAt })
  }

  /** Reads what the leader wrote. Whether it could: not while it is open where the last term ends. */
  function readMore(): boolean {
    const news = readOn(folder, cursor)
    if (news === undefined) {
      undecidedSince ??= Date.now()
      return false
    }
    undecidedSince = undefined
    load(log, news.contents)
    cursor = news.cursor
    last = news.last
    return true
  }

  async function lead(): Promise<boolean> {
    const begun = await beginTerm(folder, cursor, self(), (term) => {
      announce('leader', term)
    })
    if (begun === undefined) return false
    const { term, contents } = begun
    load(log, contents)
    const writer = createWriter(log, term, onDeposed)
    await writer.write(beginning(term.number, id))
    if (isSecure) await makeFirstUsers(log, writer)
    leave()
    role = { kind: 'leader', writer, term }
    return true
  }

  /** Ends being a follower. */
  function leave(): void {
    if (role.kind === 'follower') role.lost.abort()
  }

  function follow(leader: Address): void {
    leaderlessSince = undefined
    if (role.kind === 'follower' && role.leader.port === leader.port) return
    leave()
    role = { kind: 'follower', leader, lost: new AbortController() }
  }

  /** How long to wait for before this node begins a term, from when the leader was lost; undefined while it is there. */
  function patience(): number | undefined {
    if (last === undefined) return 0
    const { leader, term } = last
    const said = readMember(folder, leader.port)
    if (said?.term !== term || said.state !== 'leader') return 0
    if (ended.has(leader.port)) return KILLED_MS
    return Date.now() - said.at > FROZEN_MS ? 0 : undefined
  }

  /** The other nodes, in order; the first begins at once. */
  function rank(): number {
    const ports = [self(), ...peers].map(({ port }) => port).filter((port) => port !== last?.leader.port)
    return Math.max(0, ports.sort((one, other) => one - other).indexOf(self().port))
  }

  async function lookAround(): Promise<void> {
    for (const peer of peers) {
      const isSuspect = Date.now() - (readMember(folder, peer.port)?.at ?? 0) > SUSPECT_MS
      if (isSuspect && !(await listens(peer))) ended.add(peer.port)
      else ended.delete(peer.port)
    }
  }

  async function turn(): Promise<void> {
    if (role.kind === 'ending') return
    const isDue = Date.now() - announcedAt >= ANNOUNCE_MS
    if (role.kind === 'leader') {
      if (!role.term.stands()) onDeposed()
      else if (isDue) announce('leader', role.term.number)
      return
    }
    if (isDue) announce(role.kind, last?.term ?? 0)
    await lookAround()
    // One that began a term and has ended before it said anything decides nothing any more.
    if (!readMore() && Date.now() - (undecidedSince ?? Infinity) < KILLED_MS + rank() * RANK_MS) return
    const waits = undecidedSince === undefined ? patience() : 0
    if (waits === undefined && last !== undefined) {
      follow(last.leader)
      return
    }
    leave()
    if (role.kind === 'follower') role = { kind: 'unknown' }
    leaderlessSince ??= Date.now()
    const enough = leaderlessSince + (waits ?? 0) + rank() * RANK_MS
    if (Date.now() >= enough && Date.now() - resignedAt > RESIGNED_MS) await lead()
  }

  async function takeTurns(): Promise<void> {
    while (role.kind !== 'ending') {
      await turn()
      await sleep(TURN_MS)
    }
  }

  return {
    log,
    get role() {
      return role
    },
    members() {
      const own: Member = { id, address: self(), state: role.kind, alive: true }
      const others = peers.flatMap((address): Member[] => {
        const said = readMember(folder, address.port)
        if (said === undefined) return []
        const alive = !ended.has(address.port) && Date.now() - said.at < FROZEN_MS
        // One that was deposed while it was frozen does not know it yet.
        const state = said.state === 'leader' && role.kind === 'leader' ? 'unknown' : said.state
        return [{ id: said.id, address, state, alive }]
      })
      return [own, ...others]
    },
    async start() {
      if (peers.length > 0) {
        void takeTurns()
        while (role.kind === 'starting') await sleep(TURN_MS)
      } else if (!(await lead())) throw new Error(`another process began to write to ${folder} at the same time`)
    },
    async resign() {
      if (role.kind !== 'leader') return
      const { writer, term } = role
      resignedAt = Date.now()
      await writer.stop()
      // It reads on behind what it wrote itself.
      cursor = term.cursor
      role = { kind: 'unknown' }
      announce('unknown', term.number)
      await term.close()
    },
    async end() {
      const ending = role
      leave()
      role = { kind: 'ending' }
      if (ending.kind === 'leader') {
        await ending.writer.stop()
        announce('ending', ending.term.number)
      }
    },
  }
}

/** Those that a server has from the beginning, where they are not there yet. */
async function makeFirstUsers(log: Log, writer: Writer): Promise<void> {
  for (const user of FIRST_USERS) {
    if (findUser(log, user.name) !== undefined) continue
    const events = [userEvent('$UserCreated', { ...user, disabled: false }, FIRST_PASSWORD)]
    await writer.write({ kind: 'append', stream: userStream(user.name), expected: { kind: 'any' }, events })
  }
}

/** The real server, too, writes an event of its own whenever a leader begins. */
function beginning(term: number, leaderId: string): Write {
  const data = Buffer.from(JSON.stringify({ epochNumber: term - 1, leaderInstanceId: leaderId }))
  return {
    kind: 'append',
    stream: '$epoch-information',
    expected: { kind: 'any' },
    events: [{ id: randomUUID(), type: '$epoch-information', json: true, data, metadata: new Uint8Array() }],
  }
}
