import { createHash } from 'node:crypto'
import type { Reply } from '../reply.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'

const STYLE = `
body { margin: 0; background: #f4f5f7; color: #1d2733; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 26rem; margin: 8vh auto; padding: 2rem; background: #fff; border: 1px solid #d8dde3; border-radius: 8px; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; }
h2 { margin: 1.5rem 0 0.5rem; font-size: 1.1rem; }
label { display: block; margin: 0.8rem 0 0.2rem; }
input { box-sizing: border-box; width: 100%; padding: 0.5rem; font: inherit; border: 1px solid #9aa5b1; border-radius: 4px; }
button, .button { display: block; box-sizing: border-box; width: 100%; margin: 1rem 0 0; padding: 0.6rem; font: inherit; text-align: center; text-decoration: none;
  color: #fff; background: #1f5fa8; border: 1px solid #1f5fa8; border-radius: 4px; cursor: pointer; }
button.plain { color: #1d2733; background: #fff; border-color: #9aa5b1; }
code { padding: 0.1rem 0.3rem; background: #eef1f4; border-radius: 3px; overflow-wrap: anywhere; }
summary { margin-top: 1rem; cursor: pointer; }
.problem { padding: 0.6rem; background: #fdecea; border: 1px solid #e0a39c; border-radius: 4px; }
`

const HEADERS: Reply['headers'] = {
  'Content-Type': 'text/html; charset=utf-8',
  // No script at all, nothing from elsewhere, in nobody's frame, and forms only to here.
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
}

export type Page = {
  readonly title: string
  readonly body: Html
  /** Where the browser goes by itself. A form may not lead elsewhere by a redirect (`form-action`), but by a page that does. */
  readonly leadsTo?: string
}

export function page(status: number, { title, body, leadsTo }: Page, headers: Reply['headers'] = {}): Reply {
  const refresh = leadsTo === undefined ? [] : [html`<meta http-equiv="refresh" content="0; url=${leadsTo}">`]
  const { markup } = html`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">${refresh}<title>${title} - Varve</title><style>${{ markup: STYLE }}</style></head>
<body><main>
<h1>${title}</h1>
${body}
</main></body>
</html>
`
  return { status, headers: { ...HEADERS, ...headers }, body: markup }
}

/** Sends the browser on, to be asked for by GET. */
export function goTo(url: string, cookies: readonly string[] = []): Reply {
  return { status: 303, headers: { Location: url, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer', 'Set-Cookie': cookies } }
}
