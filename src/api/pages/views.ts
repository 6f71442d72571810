import type { UserRow } from '../../projections/identity-queries.ts'
import { NOTHING, html } from './html.ts'
import type { Html } from './html.ts'
import type { Page } from './page.ts'

const problemIn = (problem: string | undefined): Html => (problem === undefined ? NOTHING : html`<p class="problem" role="alert">${problem}.</p>`)

const csrfField = (token: string): Html => html`<input type="hidden" name="csrf" value="${token}">`

/** What a login page offers beside the form for names and passwords. */
export type Offered = {
  /** What the provider is called; undefined where there is none. */
  readonly provider: string | undefined
  /** Most people log in at the provider. */
  readonly providerFirst: boolean
}

export function loginView({ provider, providerFirst }: Offered, problem?: string): Page {
  const form = html`<form method="post" action="/c/login">
<label for="principal">User name</label><input id="principal" name="principal" autocomplete="username" autocapitalize="none" spellcheck="false" required>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button>
</form>`
  const button = provider === undefined ? NOTHING : html`<a class="button" href="/c/oidc/login">Log in with ${provider === '' ? 'single sign-on' : provider}</a>`
  const folded = html`<details><summary>Log in with a password kept here</summary>${form}</details>`
  const ways = provider !== undefined && providerFirst ? html`${button}${folded}` : html`${form}${button}`
  return { title: 'Log in', body: html`${problemIn(problem)}${ways}` }
}

/** A name may hold an apostrophe, and whatever a shell reads in. */
function loginCommand(registry: string, name: string): string {
  return `docker login ${registry} -u '${name.replaceAll("'", `'\\''`)}'`
}

/** `registry`: as image names begin. */
export function homeView({ name, realName, source, administrator, cliCredential }: UserRow, registry: string, csrfToken: string): Page {
  const cliSecret = html`<h2>Command line</h2>
<p>docker, podman and helm log in with your name and a secret of their own: <code>${loginCommand(registry, name)}</code></p>
<form method="post" action="/c/cli_secret">${csrfField(csrfToken)}
<button class="plain">${cliCredential === undefined ? 'Make a secret' : 'Make a new secret'}</button></form>
${cliCredential === undefined ? NOTHING : html`<p>You have one. A new one ends it, and every login that was made with it.</p>`}`
  return {
    title: `Hello, ${realName ?? name}`,
    body: html`<p>You are logged in as <code>${name}</code>${administrator ? ', an administrator of this registry' : ''}.</p>
${source === 'oidc' ? cliSecret : NOTHING}
<form method="post" action="/c/log_out">${csrfField(csrfToken)}<button class="plain">Log out</button></form>`,
  }
}

export function cliSecretView(name: string, secret: string, registry: string): Page {
  return {
    title: 'Your secret for the command line',
    body: html`<p><code id="secret">${secret}</code></p>
<p>It is shown this once: keep it now. Log in with <code>${loginCommand(registry, name)}</code> and give it as the password.</p>
<a class="button" href="/">Done</a>`,
  }
}

export function onboardingView(suggested: string, problem?: string): Page {
  return {
    title: 'Choose a user name',
    body: html`${problemIn(problem)}<p>You are new here. Under which name shall others see you? It cannot be changed later.</p>
<form method="post" action="/c/oidc/onboard">
<label for="username">User name</label><input id="username" name="username" value="${suggested}" maxlength="255" autocomplete="username" autocapitalize="none" spellcheck="false" required>
<button>Go on</button>
</form>`,
  }
}

/** Something that ended here. */
export function endView(title: string, text: string): Page {
  return { title, body: html`<p class="problem" role="alert">${text}.</p><a class="button" href="/">Back</a>` }
}

/** Something that goes on at another place. */
export function leadingView(title: string, leadsTo: string): Page {
  return { title, leadsTo, body: html`<a class="button" href="${leadsTo}">Go on</a>` }
}
