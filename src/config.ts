import { BlockList, isIP, isIPv4 } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What stays free on the blobs' disk. `smaller`: whichever of the two is less there. */
export type MinFree =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'percent'; readonly percent: number }
  | { readonly kind: 'smaller'; readonly bytes: number; readonly percent: number }

export type ListenAddress = { readonly host: string; readonly port: number }

export type TlsFiles = { readonly certFile: string; readonly keyFile: string }

export type PostgresLocation = { readonly kind: 'postgres'; readonly url: string }

export type EventStoreLocation = {
  readonly kind: 'eventstoredb'
  /** One: that node. More: they are asked which of them leads. */
  readonly nodes: readonly { readonly address: string; readonly port: number }[]
  /** The one name given stands for several nodes. */
  readonly discover: boolean
  readonly user: { readonly name: string; readonly password: string } | undefined
  /** Undefined: no TLS. `caFile`: undefined where the system's authorities vouch for the nodes. */
  readonly tls: { readonly caFile: string | undefined } | undefined
  /** What the names of this log's streams begin with. */
  readonly space: string
}

export type Config = {
  readonly listen: ListenAddress
  /** An origin, without a slash at its end. Undefined only where the system picks the port: then it is the address listened on. */
  readonly publicUrl: string | undefined
  /** Whose forwarded addresses are believed. */
  readonly trustedProxies: BlockList
  /** What Varve itself may call beside public addresses. */
  readonly outboundNetworks: BlockList
  /** Authorities (PEM) trusted beside the system's in what Varve calls. */
  readonly outboundCaFile: string | undefined
  readonly dataFolder: string
  /** Undefined: generated at the first start, and shown once. */
  readonly adminPassword: string | undefined
  readonly masterKeyFile: string
  /** Undefined: the embedded one in the data folder. */
  readonly postgresUrl: string | undefined
  /** Undefined: the log stands in the same Postgres. */
  readonly log: PostgresLocation | EventStoreLocation | undefined
  /** Holds `blobs/`, `keys/` and `uploads/`, on one file system. */
  readonly blobFolder: string
  /** The most pulls in one event. Undefined: as many as fit. */
  readonly pullsPerEvent: number | undefined
  /** Manifests that name absent blobs. */
  readonly sparse: 'accept' | 'refuse'
  readonly cacheBytes: number
  readonly minFree: MinFree
  /** Undefined: plain HTTP. */
  readonly tls: TlsFiles | undefined
  readonly logLevel: LogLevel
  /** What reads /metrics. */
  readonly metricsToken: string | undefined
}

export type ConfigProblem = { readonly variable: string; readonly message: string }

/** Everything that is wrong with the environment, at once. No message holds the value of a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ variable, message }) => `${variable} ${message}`).join('\n'))
    this.problems = problems
  }
}

const VARIABLES = [
  'VARVE_LISTEN',
  'VARVE_PUBLIC_URL',
  'VARVE_TRUSTED_PROXIES',
  'VARVE_OUTBOUND_NETWORKS',
  'VARVE_OUTBOUND_CA',
  'VARVE_DATA',
  'VARVE_ADMIN_PASSWORD',
  'VARVE_MASTER_KEY_FILE',
  'VARVE_POSTGRES_URL',
  'VARVE_LOG',
  'VARVE_BLOBS',
  'VARVE_PULLS_PER_EVENT',
  'VARVE_SPARSE',
  'VARVE_CACHE_BYTES',
  'VARVE_MIN_FREE',
  'VARVE_TLS_CERT',
  'VARVE_TLS_KEY',
  'VARVE_LOG_LEVEL',
  'VARVE_METRICS_TOKEN',
] as const
type Variable = (typeof VARIABLES)[number]

type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string }

function good<T>(value: T): Parsed<T> {
  return { ok: true, value }
}

function bad(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message }
}

/** Only of values that hold no secret. */
function quote(value: string): string {
  return JSON.stringify(value)
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

function parseBytes(value: string): Parsed<number> {
  const [, digits, unit = ''] = /^([0-9]+(?:\.[0-9]+)?) ?([a-z]*)$/i.exec(value) ?? []
  const factor = UNITS[unit.toLowerCase()]
  const bytes = digits === undefined || factor === undefined ? NaN : Math.round(Number(digits) * factor)
  return Number.isSafeInteger(bytes)
    ? good(bytes)
    : bad(`is ${quote(value)}, which is no size: give bytes, or a number with KiB, MiB, GiB or TiB`)
}

function parseMinFree(value: string): Parsed<MinFree> {
  if (!value.endsWith('%')) {
    const bytes = parseBytes(value)
    return bytes.ok ? good({ kind: 'bytes', bytes: bytes.value }) : bad(`${bytes.message}, or a percentage`)
  }
  const percent = /^[0-9]+(\.[0-9]+)? ?%$/.test(value) ? Number(value.slice(0, -1)) : NaN
  return percent < 100 ? good({ kind: 'percent', percent }) : bad(`is ${quote(value)}, which is no percentage under 100`)
}

function parseListen(value: string): Parsed<ListenAddress> {
  const [, v6, name, digits] = /^(?:\[([^[\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(value) ?? []
  const host = v6 ?? name
  const port = Number(digits)
  if (host === undefined || port > 65_535 || (v6 !== undefined && isIP(v6) !== 6) || !/^[a-z0-9._:%-]+$/i.test(host)) {
    return bad(`is ${quote(value)}, which is no address and port: write 127.0.0.1:5000, or [::1]:5000`)
  }
  // Digits and dots that are no IPv4 address would be asked of the name service.
  if (/^[0-9.]+$/.test(host) && !isIPv4(host)) return bad(`is ${quote(value)}, whose address is none`)
  return good({ host, port })
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether an address or name is this machine's own. */
export function isLoopback(host: string): boolean {
  const version = isIP(host)
  return version === 0 ? host.toLowerCase() === 'localhost' : LOOPBACK.check(host, version === 6 ? 'ipv6' : 'ipv4')
}

function parseUrl(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined
}

function parsePublicUrl(value: string): Parsed<string> {
  const url = parseUrl(value)
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return bad('is no http:// or https:// URL: write it as clients do, such as https://registry.example.com')
  }
  if (url.username !== '' || url.password !== '') return bad('must hold no user name or password')
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    return bad('must end after the host and port: registry clients look for /v2/ at the top')
  }
  return good(url.origin)
}

function parseNetworks(value: string): Parsed<BlockList> {
  const list = new BlockList()
  for (const entry of value.split(',').map((part) => part.trim())) {
    if (entry === '') continue
    const [address = '', prefix, ...more] = entry.split('/')
    const version = isIP(address)
    const bits = version === 6 ? 128 : 32
    const length = prefix === undefined ? bits : /^[0-9]{1,3}$/.test(prefix) ? Number(prefix) : NaN
    if (version === 0 || more.length > 0 || !(length <= bits)) {
      return bad(`holds ${quote(entry)}, which is no address or network: write 10.0.0.7, 10.0.0.0/8 or fd00::/8, with commas between`)
    }
    list.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4')
  }
  return good(list)
}

/** Its value holds a password, so no message shows it. */
function parsePostgresUrl(value: string): Parsed<string> {
  const url = parseUrl(value)
  return url?.protocol === 'postgres:' || url?.protocol === 'postgresql:'
    ? good(value)
    : bad('is no postgres:// URL (its value is not shown, since it may hold a password)')
}

const EVENT_STORE = /^esdb(\+discover)?:\/\/(?:([^:@/?]+):([^@/?]*)@)?([^/?@]+)\/?(?:\?(.*))?$/i
const SPACE = /^[a-z0-9][a-z0-9-]{0,31}$/

function parseNode(text: string): EventStoreLocation['nodes'] {
  const [, address, port = '2113'] = /^([a-z0-9._-]+)(?::([0-9]{1,5}))?$/i.exec(text) ?? []
  return address === undefined || Number(port) > 65_535 ? [] : [{ address, port: Number(port) }]
}

/** Its value holds a password, too. What the client itself knows of options Varve sets: two of them differently would hide a fault. */
function parseEventStore(value: string): Parsed<EventStoreLocation> {
  const [, discover, name, password, hosts = '', query = ''] = EVENT_STORE.exec(value) ?? []
  const nodes = hosts.split(',').flatMap(parseNode)
  if (hosts === '' || nodes.length !== hosts.split(',').length) return bad('is no esdb:// URL: write esdb://user:password@host:2113 (its value is not shown)')
  if (discover !== undefined && nodes.length > 1) return bad('discovers nodes behind one name (esdb+discover://): name one host, or esdb:// and all of them')
  const options = new URLSearchParams(query)
  const unknown = [...options.keys()].find((key) => !['tls', 'tlsCAFile', 'space'].includes(key))
  if (unknown !== undefined) return bad(`has an option ${quote(unknown)}, which Varve does not know: it takes tls, tlsCAFile and space`)
  const [tls, caFile, space] = [options.get('tls') ?? 'true', options.get('tlsCAFile') ?? undefined, options.get('space') ?? 'varve']
  if (tls !== 'true' && tls !== 'false') return bad('has a tls that is neither true nor false')
  if (!SPACE.test(space)) return bad(`has a space ${quote(space)}: give up to 32 lower-case letters, digits and dashes`)
  if (tls === 'false' && caFile !== undefined) return bad('has a tlsCAFile without TLS')
  if (tls === 'true' && name === undefined) return bad('names no user: over TLS the server wants one (esdb://user:password@host)')
  try {
    const user = name === undefined || password === undefined ? undefined : { name: decodeURIComponent(name), password: decodeURIComponent(password) }
    return good({
      kind: 'eventstoredb',
      nodes,
      discover: discover !== undefined,
      user,
      tls: tls === 'true' ? { caFile: caFile === undefined ? undefined : resolve(caFile) } : undefined,
      space,
    })
  } catch {
    return bad('has a user or password that is not encoded as in a URL: write % as %25 (its value is not shown)')
  }
}

function parseLog(value: string): Parsed<PostgresLocation | EventStoreLocation> {
  if (/^esdb(\+discover)?:/i.test(value)) return parseEventStore(value)
  const postgres = parsePostgresUrl(value)
  return postgres.ok ? good({ kind: 'postgres', url: postgres.value }) : bad('is neither a postgres:// nor an esdb:// URL (its value is not shown, since it may hold a password)')
}

function parseBlobs(value: string): Parsed<string> {
  if (/^s3:/i.test(value)) return bad('names an S3 bucket (s3://), which this Varve cannot use yet: give file:/a/folder')
  const path = /^file:(.+)$/i.exec(value)?.[1]
  if (path === undefined) return bad('names no store for blobs: write file:/a/folder')
  if (!path.startsWith('//')) return good(resolve(path))
  try {
    return good(fileURLToPath(value))
  } catch {
    return bad(`is ${quote(value)}, which is no file of this machine: write file:/a/folder`)
  }
}

function parseCount(value: string): Parsed<number> {
  return /^[1-9][0-9]{0,8}$/.test(value) ? good(Number(value)) : bad(`is ${quote(value)}, which is no whole number from 1`)
}

function parseToken(value: string): Parsed<string> {
  return /^[A-Za-z0-9._~+/-]+=*$/.test(value) ? good(value) : bad('holds characters that no bearer token can have (its value is not shown)')
}

function oneOf<T extends string>(choices: readonly T[]) {
  return (value: string): Parsed<T> => {
    const found = choices.find((choice) => choice === value)
    return found === undefined ? bad(`is ${quote(value)}: choose one of ${choices.join(', ')}`) : good(found)
  }
}

/** Levenshtein's distance: how many letters are to be put in, left out or exchanged. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j += 1) {
      const changed = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function nearest(name: string): Variable {
  return VARIABLES.reduce((best, candidate) => (distance(name, candidate) < distance(name, best) ? candidate : best))
}

/** Kubernetes and Docker describe each service to its neighbours in variables that begin with its name, and one may be called "varve". */
function isServiceLink(name: string, value: string): boolean {
  return /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/.test(name)
    || (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value))
}

/** How many bytes stay free on a disk of a given size. */
export function reserveBytes(minFree: MinFree, diskBytes: number): number {
  switch (minFree.kind) {
    case 'bytes':
      return minFree.bytes
    case 'percent':
      return Math.floor((diskBytes * minFree.percent) / 100)
    case 'smaller':
      return Math.min(minFree.bytes, Math.floor((diskBytes * minFree.percent) / 100))
  }
}

/**
 * Reads the environment, once, at the start. An empty variable counts as not set (compose files hand over empty ones).
 * Throws ConfigError, which names everything that is wrong.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: ConfigProblem[] = []
  function problem(variable: string, message: string): void {
    problems.push({ variable, message })
  }

  const raw = (variable: Variable): string | undefined => (env[variable] === '' ? undefined : env[variable])
  function read<T, D>(variable: Variable, parse: (value: string) => Parsed<T>, fallback: D): T | D {
    const value = raw(variable)
    if (value === undefined) return fallback
    const parsed = parse(value)
    if (parsed.ok) return parsed.value
    problem(variable, parsed.message)
    return fallback
  }

  for (const [name, value] of Object.entries(env)) {
    if (!name.toUpperCase().startsWith('VARVE_') || VARIABLES.some((known) => known === name) || isServiceLink(name, value ?? '')) continue
    if (name === 'VARVE_KAFKA_BROKERS') problem(name, 'is for a relay that this Varve does not have yet')
    else problem(name, `is not known: did you mean ${nearest(name.toUpperCase())}?`)
  }

  const listen = read('VARVE_LISTEN', parseListen, { host: '127.0.0.1', port: 5000 })
  const certFile = raw('VARVE_TLS_CERT')
  const keyFile = raw('VARVE_TLS_KEY')
  if (certFile !== undefined && keyFile === undefined) problem('VARVE_TLS_KEY', 'is missing: VARVE_TLS_CERT is set, and each needs the other')
  if (certFile === undefined && keyFile !== undefined) problem('VARVE_TLS_CERT', 'is missing: VARVE_TLS_KEY is set, and each needs the other')
  const tls =
    certFile === undefined || keyFile === undefined ? undefined : Object.freeze({ certFile: resolve(certFile), keyFile: resolve(keyFile) })

  const host = isIP(listen.host) === 6 ? `[${listen.host}]` : listen.host
  const scheme = tls === undefined ? 'http' : 'https'
  const own = isLoopback(listen.host) && listen.port !== 0 ? new URL(`${scheme}://${host}:${listen.port}`).origin : undefined
  if (!isLoopback(listen.host) && raw('VARVE_PUBLIC_URL') === undefined) {
    problem(
      'VARVE_PUBLIC_URL',
      `is missing: VARVE_LISTEN (${quote(env['VARVE_LISTEN'] ?? '')}) is reached from other machines, and only you know by which address. `
        + 'It is never taken from a request',
    )
  }

  const dataFolder = resolve(raw('VARVE_DATA') ?? 'varve-data')
  const config: Config = {
    listen: Object.freeze(listen),
    publicUrl: read('VARVE_PUBLIC_URL', parsePublicUrl, own),
    trustedProxies: read('VARVE_TRUSTED_PROXIES', parseNetworks, new BlockList()),
    outboundNetworks: read('VARVE_OUTBOUND_NETWORKS', parseNetworks, new BlockList()),
    outboundCaFile: read('VARVE_OUTBOUND_CA', (value) => good(resolve(value)), undefined),
    dataFolder,
    adminPassword: raw('VARVE_ADMIN_PASSWORD'),
    masterKeyFile: resolve(raw('VARVE_MASTER_KEY_FILE') ?? join(dataFolder, 'master.key')),
    postgresUrl: read('VARVE_POSTGRES_URL', parsePostgresUrl, undefined),
    log: Object.freeze(read('VARVE_LOG', parseLog, undefined)),
    blobFolder: read('VARVE_BLOBS', parseBlobs, dataFolder),
    pullsPerEvent: read('VARVE_PULLS_PER_EVENT', parseCount, undefined),
    sparse: read('VARVE_SPARSE', oneOf(['accept', 'refuse']), 'accept'),
    cacheBytes: read('VARVE_CACHE_BYTES', parseBytes, 256 * 2 ** 20),
    minFree: Object.freeze(read('VARVE_MIN_FREE', parseMinFree, { kind: 'smaller', bytes: 2 * 2 ** 30, percent: 5 } as const)),
    tls,
    logLevel: read('VARVE_LOG_LEVEL', oneOf(LOG_LEVELS), 'info'),
    metricsToken: read('VARVE_METRICS_TOKEN', parseToken, undefined),
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(config)
}
