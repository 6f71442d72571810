import { Type } from '@sinclair/typebox'
import { projectAggregate } from '../../commands/project/aggregate.ts'
import type { Rejection } from '../../commands/rejection.ts'
import { carryOut } from './carry-out.ts'
import type { Management } from './management.ts'
import { faultOfMetadata } from './project-metadata.ts'
import { ProjectPath, apiError, done, projectOf, route } from './route.ts'
import type { Answer, ApiError, Asked, Route } from './route.ts'

const Texts = Type.Record(Type.String(), Type.String({ maxLength: 1_000 }))
const MetadataPath = Type.Object({ ...ProjectPath.properties, meta_name: Type.String({ minLength: 1, maxLength: 255 }) })

const needs = (action: string) => ({ project: { resource: 'metadata', action } })

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/metadatas/',
    summary: 'All metadata of a project.',
    tag: 'projectMetadata',
    needs: needs('read'),
    params: ProjectPath,
    answers: { 200: Texts },
    async handle(management, asked) {
      return { status: 200, body: Object.fromEntries(await metadataOf(management, asked)) }
    },
  }),
  route({
    method: 'post',
    path: '/projects/{project_name_or_id}/metadatas/',
    summary: 'Adds one of the metadata of a project.',
    tag: 'projectMetadata',
    needs: needs('create'),
    params: ProjectPath,
    body: Texts,
    answers: { 200: undefined },
    async handle(management, asked, { body }) {
      const [given, ...more] = Object.entries(body)
      if (given === undefined || more.length > 0) return apiError(400, 'BAD_REQUEST', 'the body must name one of the metadata')
      const [name, value] = given
      if ((await metadataOf(management, asked)).has(name)) return apiError(409, 'CONFLICT', `${name} is there`)
      return change(management, asked, name, value)
    },
  }),
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/metadatas/{meta_name}',
    summary: 'One of the metadata of a project.',
    tag: 'projectMetadata',
    needs: needs('read'),
    params: MetadataPath,
    answers: { 200: Texts },
    async handle(management, asked, { params: { meta_name: name } }) {
      const value = (await metadataOf(management, asked)).get(name)
      return value === undefined ? absent(name) : { status: 200, body: { [name]: value } }
    },
  }),
  route({
    method: 'put',
    path: '/projects/{project_name_or_id}/metadatas/{meta_name}',
    summary: 'Changes one of the metadata of a project.',
    tag: 'projectMetadata',
    needs: needs('update'),
    params: MetadataPath,
    body: Texts,
    answers: { 200: undefined },
    async handle(management, asked, { params: { meta_name: name }, body }) {
      const value = Object.hasOwn(body, name) ? body[name] : undefined
      if (value === undefined) return apiError(400, 'BAD_REQUEST', `the body must give ${name} a value`)
      if (!(await metadataOf(management, asked)).has(name)) return absent(name)
      return change(management, asked, name, value)
    },
  }),
  route({
    method: 'delete',
    path: '/projects/{project_name_or_id}/metadatas/{meta_name}',
    summary: 'Removes one of the metadata of a project.',
    tag: 'projectMetadata',
    needs: needs('delete'),
    params: MetadataPath,
    answers: { 200: undefined },
    async handle(management, asked, { params: { meta_name: name } }) {
      if (name === 'public') return apiError(400, 'BAD_REQUEST', 'a project is public or private: set public to "false"')
      if (!(await metadataOf(management, asked)).has(name)) return absent(name)
      return done(await carryOut(management, asked, aggregateOf(management, asked), { type: 'ChangeProject', metadata: { [name]: null } }))
    },
  }),
]

function absent(name: string): ApiError {
  return apiError(404, 'NOT_FOUND', `the project has no ${name}`)
}

function aggregateOf({ decisionRows }: Management, asked: Asked) {
  return projectAggregate(decisionRows, projectOf(asked).id)
}

/** The visibility among them. */
async function metadataOf({ decisionRows }: Management, asked: Asked): Promise<ReadonlyMap<string, string>> {
  const { visibility, metadata } = await decisionRows.project(projectOf(asked).id, [])
  return new Map([...metadata, ['public', String(visibility === 'public')]])
}

async function change(management: Management, asked: Asked, name: string, value: string): Promise<Answer | ApiError | Rejection> {
  const fault = faultOfMetadata(name, value)
  if (fault !== undefined) return apiError(400, 'BAD_REQUEST', fault)
  const change = name === 'public' ? { visibility: value === 'true' ? 'public' : 'private' } as const : { metadata: { [name]: value } }
  return done(await carryOut(management, asked, aggregateOf(management, asked), { type: 'ChangeProject', ...change }))
}
