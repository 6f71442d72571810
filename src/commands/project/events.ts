import { Type } from '@sinclair/typebox'
import { Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** Stands in the stream `projects`, since names are unique among all projects; carries the project's whole first state. */
export const ProjectCreated = eventType(
  'ProjectCreated',
  Type.Object(
    {
      project: Uuid,
      number: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
      name: Type.String({ minLength: 1, maxLength: 255 }),
      visibility: Type.Union([Type.Literal('public'), Type.Literal('private')]),
      owner: Uuid,
    },
    closed,
  ),
)

export type ProjectFact = FactOf<typeof ProjectCreated>
