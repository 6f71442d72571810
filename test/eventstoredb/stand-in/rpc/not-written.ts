import type { WriteResult } from '../calls.ts'
import { noLeader, notLeader, notReady, streamDeleted, timedOut } from './refusals.ts'
import type { Refusal } from './refusals.ts'

export type NotWritten = Extract<WriteResult, { kind: 'not-ready' | 'ending' | 'not-leader' | 'interrupted' | 'abandoned' }>

/** What a call is refused with whose write was not tried, or whose outcome nobody knows. */
export function notWritten(result: NotWritten): Refusal {
  switch (result.kind) {
    case 'not-ready':
    case 'ending':
      return notReady()
    case 'not-leader':
      return result.leader === undefined ? noLeader() : notLeader(result.leader.host, result.leader.port)
    case 'interrupted':
      return timedOut('Request canceled by server')
    case 'abandoned':
      return timedOut('Request canceled by client')
  }
}

/** The outcome of a write that a call answers; undefined: no answer. All others are what it is refused with. */
export function decided(result: WriteResult, stream: string): Extract<WriteResult, { kind: 'done' | 'wrong-revision' }> | undefined {
  switch (result.kind) {
    case 'done':
    case 'wrong-revision':
      return result
    case 'deleted':
      throw streamDeleted(stream)
    case 'lost':
      return undefined
    case 'not-ready':
    case 'ending':
    case 'not-leader':
    case 'interrupted':
    case 'abandoned':
      throw notWritten(result)
  }
}
