/** What a browser does with cookies and redirects, without running a page. */
export function webClient(url: string) {
  const cookies = new Map<string, string>()

  async function ask(method: 'GET' | 'POST', path: string, sent: { readonly form?: Readonly<Record<string, string>>; readonly headers?: Readonly<Record<string, string>> } = {}) {
    const response = await fetch(new URL(path, url), {
      method,
      redirect: 'manual',
      headers: { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '), ...sent.headers },
      ...(sent.form === undefined ? {} : { body: new URLSearchParams(sent.form) }),
    })
    for (const each of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(each) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    return { status: response.status, headers: response.headers, location: response.headers.get('Location'), text: await response.text() }
  }

  return {
    cookies,
    ask,
    /** The token of a page's forms. */
    async csrf(): Promise<string> {
      return /name="csrf" value="([^"]+)"/.exec((await ask('GET', '/')).text)?.[1] ?? ''
    },
    logIn: (principal: string, password: string) => ask('POST', '/c/login', { form: { principal, password } }),
  }
}

export type WebClient = ReturnType<typeof webClient>
