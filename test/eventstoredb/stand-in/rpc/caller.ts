import type { Metadata } from '@grpc/grpc-js'
import type { Caller } from '../calls.ts'

type Call = { readonly metadata: Metadata; readonly cancelled: boolean; getPeer(): string }

/** Whether a call's headers say that only the leader may answer it. */
export const requiresLeader = ({ metadata }: { readonly metadata: Metadata }): boolean => metadata.get('requires-leader')[0] === 'true'

/** Who makes a call, and for how long somebody waits for its answer. */
export function callerOf(call: Call, deadlineMs = Infinity): Caller {
  return {
    isGone: () => call.cancelled || deadlineMs <= Date.now(),
    requiresLeader: requiresLeader(call),
    peer: call.getPeer(),
  }
}
