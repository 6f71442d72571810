import type { Seeded } from '../support/random.ts'
import type { Heard } from './conversation.ts'
import type { Ending } from './conversation.ts'
import { formProblem, isUnreadable, problemOf } from './judge.ts'
import type { Request, World } from './requests.ts'

/** What a client sends over one connection, and what it is owed. */
export type Script = {
  readonly pieces: readonly Buffer[]
  readonly pauseMs?: number
  readonly ending?: Ending
  /** What the bytes ask for, in order. */
  readonly requests: readonly Request[]
  /** How many of them must be answered; undefined: all. */
  readonly owed?: number
  /** Whether something after the owed ones is no HTTP; the connection then ends, and may say why. */
  readonly broken?: 'maybe' | 'surely'
}

/** Makes a script of a request; `next` makes another request that is as it should be. */
export type RawKind = (request: Request, random: Seeded, next: () => Request, world: World) => Script

/** What is wrong with what a client heard; undefined: nothing. */
export function problemOfScript({ requests, owed = requests.length, broken, ending }: Script, { answers, rest }: Heard, world: World): string | undefined {
  for (const [index, answer] of answers.entries()) {
    const request = requests[index]
    const unreadable = broken !== undefined && isUnreadable(answer)
    if (unreadable && index < answers.length - 1) return 'it goes on after what could not be read'
    if (!unreadable && request === undefined) return `an answer to nothing that was asked: ${answer.line}`
    const problem = unreadable ? formProblem(answer.body.length === 0 && requests.some(({ method }) => method === 'HEAD') ? 'HEAD' : 'GET', answer) : request === undefined ? undefined : problemOf(request, answer, world)
    if (problem !== undefined) return `answer ${index + 1}: ${problem}`
  }
  const read = answers.filter((answer) => broken === undefined || !isUnreadable(answer)).length
  if (ending?.startsWith('gone') === true) return undefined
  if (read < owed) return `${read} answers, not ${owed}`
  if (broken === 'surely' && (read > owed || answers.length === owed)) return `${read} answers, and what is broken was not refused`
  return rest === '' ? undefined : `an answer that is cut short: ${rest.slice(0, 200)}`
}
