import { randomUUID } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { endProject, keepProject } from '../../src/api/project-end.ts'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { createHandler } from '../../src/commands/handle.ts'
import type { Handle } from '../../src/commands/handle.ts'
import { LogNamed } from '../../src/commands/log/events.ts'
import { evolveProjects } from '../../src/commands/project/decide.ts'
import type { ProjectsState } from '../../src/commands/project/decide.ts'
import { ProjectCreated } from '../../src/commands/project/events.ts'
import type { ProjectsFact } from '../../src/commands/project/events.ts'
import { repositoryAggregate } from '../../src/commands/repository/aggregate.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Event } from '../../src/ports/event.ts'
import { comparePositions } from '../../src/ports/position.ts'
import type { Position } from '../../src/ports/position.ts'
import { repositoryKey, streams } from '../../src/ports/streams.ts'
import type { IdentityReader } from '../../src/projections/identity-reader.ts'
import { createMemoryLog } from '../../src/storage/events/memory.ts'
import { eventOf } from '../storage/events/contract.ts'
import { noRows } from '../support/decision-rows.ts'
import { interleavings } from '../support/interleavings.ts'
import { seeded } from '../support/random.ts'

/*
 * A push and a deletion of its project, in processes of their own, in every order of what they ask of the log and the read models. Each
 * process's read models stand as far behind as they may: where it last waited for them.
 */

const codec = createCodec(eventTypes)
const project = randomUUID()
const key = repositoryKey(project, 'app')
const EMPTY: ProjectsState = { revision: -1, lastNumber: 0, names: new Map(), deletions: new Map() }
const requester = { command: () => ({ actor: { kind: 'system' as const, subject: randomUUID() }, now: () => new Date(), signal: new AbortController().signal }) }

/** Something that goes on by one step whenever it is told to. */
function stepper(work: (turn: () => Promise<void>) => Promise<void>) {
  let [stopped, go] = [Promise.withResolvers<boolean>(), Promise.withResolvers<undefined>()]
  const turn = async (): Promise<void> => {
    stopped.resolve(false)
    await go.promise
  }
  const whole = work(turn).finally(() => {
    stopped.resolve(true)
  })
  return {
    whole,
    async step(): Promise<void> {
      if (await stopped.promise) return
      const { resolve } = go
      ;[stopped, go] = [Promise.withResolvers<boolean>(), Promise.withResolvers<undefined>()]
      resolve(undefined)
      await stopped.promise
    },
  }
}

async function openWorld() {
  const log = createMemoryLog(codec)
  await log.append('log', -1, [eventOf(LogNamed({ log: 'races000' }))])
  const made = await log.append(streams.projects, -1, [eventOf(ProjectCreated({ project, number: 1, name: 'team', visibility: 'private' }))])
  const [start] = made.status === 'appended' ? made.positions : []
  if (start === undefined) throw new Error('the project was not made')

  async function projectsAt(seen: Position | undefined): Promise<ProjectsState> {
    let state = EMPTY
    for await (const { event, position } of log.readStream(streams.projects, -1)) {
      if (seen === undefined || comparePositions(position, seen) <= 0) state = evolveProjects(state, event as Event<ProjectsFact>)
    }
    return state
  }

  /** One process: its handler, and its read models. */
  function openProcess(turn: () => Promise<void>) {
    let seen = start
    const handle = createHandler(log)
    const inTurn: Handle = async (aggregate, command, context) => {
      await turn()
      return handle(aggregate, command, context)
    }
    return {
      handle: inTurn,
      decisionRows: {
        ...noRows,
        projects: () => Promise.resolve(EMPTY),
        repository: () => Promise.resolve({ revision: -1, exists: false, tags: new Map(), manifests: new Map(), blobs: new Map() }),
      },
      visible(position: Position): Promise<boolean> {
        if (seen === undefined || comparePositions(position, seen) > 0) seen = position
        return Promise.resolve(true)
      },
      queries: () => ({
        async holdsManifests(): Promise<boolean> {
          await turn()
          for await (const { position } of log.readStream(streams.repository(key), -1)) if (seen !== undefined && comparePositions(position, seen) <= 0) return true
          return false
        },
      }),
      identity: {
        async projectById(id: string): Promise<Awaited<ReturnType<IdentityReader['projectById']>>> {
          await turn()
          const { names, deletions } = await projectsAt(seen)
          const [name, at] = [names.get(id), new Date(0)]
          if (name === undefined) return undefined
          return { id, number: 1, name, visibility: 'private', owner: undefined, deletion: deletions.get(id), createdAt: at, updatedAt: at, members: new Map() }
        },
      },
    }
  }

  /** Says whether the push may be answered 201. */
  async function push(turn: () => Promise<void>, bytes: string, wasVisible = true): Promise<boolean> {
    const parts = openProcess(turn)
    const command = {
      type: 'PushManifest', digest: digestOf('sha256', Buffer.from(bytes)), mediaType: 'a/b', sizeBytes: 1, tags: [], references: [], blobs: [], children: [], sparse: true,
    } as const
    const { position } = await parts.handle(repositoryAggregate(parts.decisionRows, key), command, requester.command())
    if (position !== undefined && wasVisible) await parts.visible(position)
    return keepProject(parts, requester, project, wasVisible)
  }

  async function end(turn: () => Promise<void>): Promise<string> {
    const kept = await endProject(openProcess(turn), requester, project)
    return kept === undefined ? 'deleted' : kept === 'holds manifests' ? kept : kept.code
  }

  return { push, end, lives: async () => (await projectsAt(undefined)).names.has(project) }
}

describe('a push and the deletion of its project at once', () => {
  const [PUSH, DELETE] = [['appends', 'looks', 'stops it'], ['looks', 'begins', 'looks again', 'ends']].map((steps) => steps.length)

  const chain = (name: string, length = 0): string[] => Array.from({ length }, () => name)

  it.each([true, false])('end with exactly one of them done, in every order (what was pushed could be read: %s)', async (wasVisible) => {
    const seen = new Set<string>()
    for (const order of interleavings([chain('push', PUSH), chain('delete', DELETE)])) {
      const world = await openWorld()
      let [pushed, ended] = [false, '']
      const processes = new Map([
        ['push', stepper(async (turn) => { pushed = await world.push(turn, 'one', wasVisible) })],
        ['delete', stepper(async (turn) => { ended = await world.end(turn) })],
      ])
      for (const name of order) await processes.get(name)?.step()
      await Promise.all([...processes.values()].map(({ whole }) => whole))
      expect({ order, pushed, lives: await world.lives() }).toEqual({ order, pushed: ended !== 'deleted', lives: ended !== 'deleted' })
      seen.add(ended)
    }
    // It found the content, was stopped after it had looked, and was faster.
    expect([...seen].sort()).toEqual(['PRECONDITION', 'deleted', 'holds manifests'])
  })

  it('keep what two of them said, beside two deletions (500 orders of a seed)', async () => {
    const random = seeded(8)
    const seen = new Set<string>()
    for (let round = 0; round < 500; round += 1) {
      const world = await openWorld()
      const pushed: boolean[] = []
      const ended: string[] = []
      const processes = [
        ...['one', 'two'].map((bytes) => stepper(async (turn) => { pushed.push(await world.push(turn, bytes)) })),
        ...['one', 'two'].map(() => stepper(async (turn) => { ended.push(await world.end(turn)) })),
      ]
      const order: number[] = []
      // One goes on for some steps, so that another one does not always come between.
      while (pushed.length + ended.length < processes.length) {
        const index = random.below(processes.length)
        for (let steps = random.below(5); steps >= 0; steps -= 1) {
          order.push(index)
          await processes[index]?.step()
        }
      }
      await Promise.all(processes.map(({ whole }) => whole))
      const lives = !ended.includes('deleted')
      expect({ round, order, lives: await world.lives(), pushed }).toEqual({ round, order, lives, pushed: [lives, lives] })
      seen.add([...ended].sort().join(', '))
    }
    expect(seen.size).toBeGreaterThan(3)
  })
})
