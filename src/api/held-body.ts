import express from 'express'
import type { Request, RequestHandler, Response } from 'express'
import type { IncomingMessage } from 'node:http'
import { askForBody } from './server.ts'

/*
 * Bodies that are held in memory until they are whole: manifests, JSON, forms. Each has a bound in bytes and one in time, since a byte
 * now and then would hold its memory, and its connection, for ever. Blobs go to the disk as they come, and need none.
 */

/** How long such a body may take, in ms: 4 MiB over a line of 300 kbit/s. */
export const HELD_BODY_MS = 120_000

/** The largest form, as body-parser writes it. */
export const MAX_FORM = '64kb'

/** Cuts a request off whose body is not whole in time. */
export function cutWhenLate(request: IncomingMessage, withinMs: number): void {
  const timer = setTimeout(() => request.destroy(), withinMs)
  request.once('close', () => {
    clearTimeout(timer)
  })
}

/** Asks for a body and has a parser of Express take it. Throws the parser's errors. */
export function takeBody(parser: RequestHandler, request: Request, response: Response, withinMs = HELD_BODY_MS): Promise<void> {
  askForBody(request, response)
  cutWhenLate(request, withinMs)
  return new Promise((done, failed) => {
    void parser(request, response, (error?: unknown) => {
      if (error === undefined) done()
      else failed(error instanceof Error ? error : new Error('the body cannot be taken', { cause: error }))
    })
  })
}

/** Takes a form. */
export function formTaker(): RequestHandler {
  const parser = express.urlencoded({ extended: false, limit: MAX_FORM })
  return async (request, response, next) => {
    await takeBody(parser, request, response)
    next()
  }
}
