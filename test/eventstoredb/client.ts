import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import eventstore from '@eventstore/db-client'
import type { AllStreamSubscription, AppendExpectedRevision, AppendResult, StreamSubscription } from '@eventstore/db-client'
import type { EventStoreDBClient, JSONEventData } from '@eventstore/db-client'
import { afterAll } from '../support/after-all.ts'
import { until } from '../support/until.ts'

const { ANY } = eventstore

/** By which of its two calls a client appends: the older one is that which takes credentials. */
export type AppendCall = 'the batch call' | 'the older call'
export const APPEND_CALLS: readonly AppendCall[] = ['the batch call', 'the older call']

const connected = new Set<EventStoreDBClient>()
afterAll(endClients)

/** Ends the calls of all clients. */
export async function endClients(): Promise<void> {
  const clients = [...connected]
  connected.clear()
  // `dispose` can stay pending for ever after a read that was abandoned.
  await Promise.all(clients.map((client) => Promise.race([client.dispose(), sleep(500)])))
}

/** A client; its calls are ended after the test file. Clients of one process with the same options share one connection. */
export function connect(url: string, options = ''): EventStoreDBClient {
  const client = eventstore.EventStoreDBClient.connectionString(`${url}${options}`)
  connected.add(client)
  return client
}

export function newEvent(data: { readonly [name: string]: string | number } = {}): JSONEventData {
  return eventstore.jsonEvent({ id: randomUUID(), type: 'Tried', data })
}

export type AppendOptions = { readonly expected?: AppendExpectedRevision; readonly deadlineMs?: number }

export function appendBy(
  call: AppendCall,
  client: EventStoreDBClient,
  stream: string,
  event: JSONEventData,
  { expected = ANY, deadlineMs }: AppendOptions = {},
): Promise<AppendResult> {
  return client.appendToStream(stream, event, {
    expectedRevision: expected,
    ...(deadlineMs === undefined ? {} : { deadline: deadlineMs }),
    ...(call === 'the older call' ? { credentials: { username: 'admin', password: 'changeit' } } : {}),
  })
}

/** An error as the recordings tell it: its class, its type, its message without addresses. */
export function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const type = 'type' in error ? String(error.type) : ''
  return `${error.constructor.name} | ${type} | ${error.message.replaceAll(/127\.0\.0\.1:\d+/g, '<address>')}`
}

/** What a call was told, or `success`. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(() => 'success', told)
}

/** Calls until it succeeds; what it was told on the way, each once. */
export async function insist(call: () => Promise<unknown>, timeoutMs = 30_000): Promise<string[]> {
  const errors = new Set<string>()
  const end = Date.now() + timeoutMs
  for (;;) {
    const outcome = await outcomeOf(call())
    if (outcome === 'success') return [...errors]
    errors.add(outcome)
    if (Date.now() > end) throw new Error(`no success in ${timeoutMs} ms: ${[...errors].join('; ')}`)
    await sleep(20)
  }
}

export async function idsOf(client: EventStoreDBClient, stream: string): Promise<string[]> {
  const ids: string[] = []
  for await (const { event } of client.readStream(stream)) if (event !== undefined) ids.push(event.id)
  return ids
}

/** What a subscription emits, in order, checkpoints left out, and the ids of its events. */
export type Watched = {
  readonly signals: readonly string[]
  readonly ids: readonly string[]
  /** Resolves when there is a signal that begins so. */
  saw(...beginnings: string[]): Promise<void>
}

export function watch(subscription: AllStreamSubscription | StreamSubscription): Watched {
  const signals: string[] = []
  const ids: string[] = []
  for (const signal of ['confirmation', 'caughtUp', 'end'] as const) {
    subscription.on(signal, () => {
      signals.push(signal)
    })
  }
  subscription.on('data', ({ event }) => {
    ids.push(event?.id ?? '')
  })
  subscription.on('error', (error) => {
    signals.push(`error: ${told(error)}`)
  })
  return {
    signals,
    ids,
    saw: (...beginnings) => until(() => signals.some((each) => beginnings.some((one) => each.startsWith(one))), beginnings.join(' or ')),
  }
}
