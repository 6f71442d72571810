import type { RefusalReason } from '../commands/activity/events.ts'
import type { AccessRecorder } from '../commands/activity/record-access.ts'
import type { Refused } from '../commands/activity/refusals.ts'
import { networkOf } from '../identity/network.ts'
import type { AuthRefusal } from './authenticate.ts'
import type { Requester } from './requester.ts'

/** How the log calls what let nobody in. */
export function reasonOf(why: AuthRefusal): RefusalReason {
  switch (why.reason) {
    case 'credentials':
      return why.account === undefined ? 'credentials' : `account-${why.account}`
    case 'wait':
      return 'throttled'
    case 'directory':
      return 'directory-away'
    case 'token':
      return `token-${why.why}`
  }
}

/**
 * Notes that somebody was not let do something. A caller without a login who is told where to log in is not refused: clients begin so.
 */
export function noteRefusal(
  { access }: { readonly access: Pick<AccessRecorder, 'refuse'> },
  { subject, caller, address, requestId }: Pick<Requester, 'subject' | 'caller' | 'address' | 'requestId'>,
  what: Pick<Refused, 'reason' | 'repository' | 'project' | 'action'>,
): void {
  const source = subject.kind === 'anonymous' ? networkOf(address) : subject.id
  access.refuse({ ...what, source, requestId }, () => Promise.resolve(caller))
}
