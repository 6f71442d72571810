import type { WriteResult } from '../calls.ts'
import { noLeader, notLeader, notReady, timedOut } from './refusals.ts'
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
