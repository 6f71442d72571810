import type { DecisionRows } from '../../src/ports/decision-rows.ts'

function notAsked(): Promise<never> {
  return Promise.reject(new Error('these rows are not asked for here'))
}

/** Rows for a test that says itself which of them are asked for. */
export const noRows: DecisionRows = {
  repository: notAsked, projects: notAsked, project: notAsked, users: notAsked, user: notAsked, groups: notAsked, robots: notAsked, robot: notAsked, settings: notAsked,
}
