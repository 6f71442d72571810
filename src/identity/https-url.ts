/** Whether a text is an https:// URL that holds nothing but a place: no user name or password, no query, no fragment. */
export function isPlainHttpsUrl(text: string): boolean {
  const url = URL.parse(text)
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}
