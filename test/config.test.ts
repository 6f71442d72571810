import { resolve } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import type { Config, ConfigProblem } from '../src/config.ts'
import { ConfigError, loadConfig, reserveBytes } from '../src/config.ts'

const problems = (env: Record<string, string>): readonly ConfigProblem[] => {
  try {
    loadConfig(env)
  } catch (error: unknown) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

const SECRET = 'hunter2-do-not-show'

describe('configuration', () => {
  test('an empty environment gives a registry on loopback', () => {
    const { trustedProxies, outboundNetworks, ...rest } = loadConfig({ PATH: '/bin' })
    expect([...trustedProxies.rules, ...outboundNetworks.rules]).toEqual([])
    expect(rest).toEqual({
      listen: { host: '127.0.0.1', port: 5000 },
      publicUrl: 'http://127.0.0.1:5000',
      outboundCaFile: undefined,
      dataFolder: resolve('varve-data'),
      adminPassword: undefined,
      masterKeyFile: resolve('varve-data/master.key'),
      postgresUrl: undefined,
      log: undefined,
      blobFolder: resolve('varve-data'),
      pullsPerEvent: undefined,
      sparse: 'accept',
      cacheBytes: 268_435_456,
      minFree: { kind: 'smaller', bytes: 2_147_483_648, percent: 5 },
      tls: undefined,
      logLevel: 'info',
      metricsToken: undefined,
    })
  })

  test('is frozen', () => {
    const config = loadConfig({})
    expect([config, config.listen, config.minFree].every((part) => Object.isFrozen(part))).toBe(true)
  })

  test.each<[Record<string, string>, Partial<Config>]>([
    [{ VARVE_LISTEN: '127.0.0.5:80' }, { listen: { host: '127.0.0.5', port: 80 }, publicUrl: 'http://127.0.0.5' }],
    [{ VARVE_LISTEN: '[::1]:5001' }, { listen: { host: '::1', port: 5001 }, publicUrl: 'http://[::1]:5001' }],
    [{ VARVE_LISTEN: 'localhost:5001' }, { publicUrl: 'http://localhost:5001' }],
    [{ VARVE_LISTEN: '127.0.0.1:0' }, { publicUrl: undefined }],
    [{ VARVE_LISTEN: '0.0.0.0:5000', VARVE_PUBLIC_URL: 'https://Registry.Example.com:443/' }, { publicUrl: 'https://registry.example.com' }],
    [{ VARVE_LISTEN: '[::]:5000', VARVE_PUBLIC_URL: 'http://r.example:5000' }, { listen: { host: '::', port: 5000 } }],
    [
      { VARVE_TLS_CERT: '/c.pem', VARVE_TLS_KEY: '/k.pem' },
      { tls: { certFile: '/c.pem', keyFile: '/k.pem' }, publicUrl: 'https://127.0.0.1:5000' },
    ],
    [{ VARVE_DATA: '/srv/varve' }, { dataFolder: '/srv/varve', blobFolder: '/srv/varve', masterKeyFile: '/srv/varve/master.key' }],
    [{ VARVE_DATA: '/srv/varve', VARVE_MASTER_KEY_FILE: '/run/secrets/key' }, { masterKeyFile: '/run/secrets/key' }],
    [{ VARVE_ADMIN_PASSWORD: ' with space ' }, { adminPassword: ' with space ' }],
    [{ VARVE_POSTGRES_URL: 'postgres://u:p@h/d' }, { postgresUrl: 'postgres://u:p@h/d', log: undefined }],
    [{ VARVE_LOG: 'postgresql:///log?host=/run/pg' }, { postgresUrl: undefined, log: { kind: 'postgres', url: 'postgresql:///log?host=/run/pg' } }],
    [
      { VARVE_LOG: 'esdb://u%40x:p%3A%25@n1:2111,n2,n3:2113/?tlsCAFile=/etc/ca.pem&space=team-1' },
      {
        log: {
          kind: 'eventstoredb',
          nodes: [
            { address: 'n1', port: 2111 },
            { address: 'n2', port: 2113 },
            { address: 'n3', port: 2113 },
          ],
          discover: false,
          user: { name: 'u@x', password: 'p:%' },
          tls: { caFile: '/etc/ca.pem' },
          space: 'team-1',
        },
      },
    ],
    [
      { VARVE_LOG: 'esdb+discover://cluster.example?tls=false' },
      { log: { kind: 'eventstoredb', nodes: [{ address: 'cluster.example', port: 2113 }], discover: true, user: undefined, tls: undefined, space: 'varve' } },
    ],
    [
      { VARVE_PORT: 'tcp://10.0.0.9:5000', VARVE_PORT_5000_TCP_ADDR: '10.0.0.9', VARVE_SERVICE_HOST: '10.0.0.9', VARVE_SERVICE_PORT_HTTP: '5000' },
      { listen: { host: '127.0.0.1', port: 5000 } },
    ],
    [{ VARVE_BLOBS: 'file:/srv/blobs' }, { blobFolder: '/srv/blobs' }],
    [{ VARVE_BLOBS: 'file:///srv/two%20words' }, { blobFolder: '/srv/two words' }],
    [{ VARVE_BLOBS: 'file:blobs' }, { blobFolder: resolve('blobs') }],
    [{ VARVE_PULLS_PER_EVENT: '1' }, { pullsPerEvent: 1 }],
    [{ VARVE_SPARSE: 'refuse' }, { sparse: 'refuse' }],
    [{ VARVE_CACHE_BYTES: '268435456' }, { cacheBytes: 268_435_456 }],
    [{ VARVE_CACHE_BYTES: '256MiB' }, { cacheBytes: 268_435_456 }],
    [{ VARVE_CACHE_BYTES: '1.5 gib' }, { cacheBytes: 1_610_612_736 }],
    [{ VARVE_CACHE_BYTES: '5MB' }, { cacheBytes: 5_000_000 }],
    [{ VARVE_CACHE_BYTES: '0' }, { cacheBytes: 0 }],
    [{ VARVE_MIN_FREE: '2GiB' }, { minFree: { kind: 'bytes', bytes: 2_147_483_648 } }],
    [{ VARVE_MIN_FREE: '7.5%' }, { minFree: { kind: 'percent', percent: 7.5 } }],
    [{ VARVE_LOG_LEVEL: 'debug' }, { logLevel: 'debug' }],
    [{ VARVE_OUTBOUND_CA: '/etc/ca.pem' }, { outboundCaFile: '/etc/ca.pem' }],
    [{ VARVE_METRICS_TOKEN: 'abc.DEF-123=' }, { metricsToken: 'abc.DEF-123=' }],
    [{ VARVE_LOG: '', VARVE_SPARSE: '', VARVE_TLS_CERT: '', VARVE_PUBLIC_URL: '' }, { log: undefined, sparse: 'accept', tls: undefined }],
  ])('%j', (env, expected) => {
    expect(loadConfig(env)).toMatchObject(expected)
  })

  test.each<[Record<string, string>, string, string]>([
    [{ VARVE_LISTEN: '5000' }, 'VARVE_LISTEN', 'no address and port'],
    [{ VARVE_LISTEN: '127.0.0.1:70000' }, 'VARVE_LISTEN', 'no address and port'],
    [{ VARVE_LISTEN: '127.0.0.300:5000', VARVE_PUBLIC_URL: 'http://x' }, 'VARVE_LISTEN', 'address is none'],
    [{ VARVE_LISTEN: '[127.0.0.1]:5000' }, 'VARVE_LISTEN', 'no address and port'],
    [{ VARVE_LISTEN: '::1:5000' }, 'VARVE_LISTEN', 'no address and port'],
    [{ VARVE_LISTEN: '0.0.0.0:5000' }, 'VARVE_PUBLIC_URL', 'is missing'],
    [{ VARVE_LISTEN: '[::]:0' }, 'VARVE_PUBLIC_URL', 'is missing'],
    [{ VARVE_PUBLIC_URL: 'registry.example.com' }, 'VARVE_PUBLIC_URL', 'is no http:// or https:// URL'],
    [{ VARVE_PUBLIC_URL: 'ftp://registry.example.com' }, 'VARVE_PUBLIC_URL', 'is no http:// or https:// URL'],
    [{ VARVE_PUBLIC_URL: 'https://registry.example.com/sub' }, 'VARVE_PUBLIC_URL', 'must end after the host'],
    [{ VARVE_PUBLIC_URL: `https://u:${SECRET}@registry.example.com` }, 'VARVE_PUBLIC_URL', 'no user name or password'],
    [{ VARVE_TRUSTED_PROXIES: '10.0.0.0/8, nginx' }, 'VARVE_TRUSTED_PROXIES', 'holds "nginx"'],
    [{ VARVE_TRUSTED_PROXIES: '10.0.0.0/33' }, 'VARVE_TRUSTED_PROXIES', 'holds "10.0.0.0/33"'],
    [{ VARVE_OUTBOUND_NETWORKS: 'id.example.com' }, 'VARVE_OUTBOUND_NETWORKS', 'holds "id.example.com"'],
    [{ VARVE_TRUSTED_PROXIES: '10.0.0.0/' }, 'VARVE_TRUSTED_PROXIES', 'holds "10.0.0.0/"'],
    [{ VARVE_POSTGRES_URL: `mysql://u:${SECRET}@h/d` }, 'VARVE_POSTGRES_URL', 'is no postgres:// URL'],
    [{ VARVE_POSTGRES_URL: `u:${SECRET}@h/d` }, 'VARVE_POSTGRES_URL', 'is no postgres:// URL'],
    [{ VARVE_LOG: `kafka://u:${SECRET}@h` }, 'VARVE_LOG', 'is neither a postgres:// nor an esdb:// URL'],
    [{ VARVE_LOG: 'esdb://h:2113' }, 'VARVE_LOG', 'names no user'],
    [{ VARVE_LOG: `esdb://u:${SECRET}@` }, 'VARVE_LOG', 'is no esdb:// URL'],
    [{ VARVE_LOG: `esdb://u:${SECRET}@h:70000` }, 'VARVE_LOG', 'is no esdb:// URL'],
    [{ VARVE_LOG: `esdb://u:${SECRET}@h,,i` }, 'VARVE_LOG', 'is no esdb:// URL'],
    [{ VARVE_LOG: `esdb://u:${SECRET}%zz@h` }, 'VARVE_LOG', 'not encoded'],
    [{ VARVE_LOG: `esdb+discover://u:${SECRET}@h,i` }, 'VARVE_LOG', 'name one host'],
    [{ VARVE_LOG: `esdb://u:${SECRET}@h?keepAliveInterval=1` }, 'VARVE_LOG', 'has an option "keepAliveInterval"'],
    [{ VARVE_LOG: `esdb://u:${SECRET}@h?tls=maybe` }, 'VARVE_LOG', 'neither true nor false'],
    [{ VARVE_LOG: `esdb://u:${SECRET}@h?space=Two.Words` }, 'VARVE_LOG', 'has a space "Two.Words"'],
    [{ VARVE_LOG: 'esdb://h?tls=false&tlsCAFile=/ca.pem' }, 'VARVE_LOG', 'has a tlsCAFile without TLS'],
    [{ VARVE_BLOBS: `s3://bucket?secret=${SECRET}` }, 'VARVE_BLOBS', 'S3 bucket (s3://), which this Varve cannot use yet'],
    [{ VARVE_BLOBS: `gs://bucket?secret=${SECRET}` }, 'VARVE_BLOBS', 'names no store'],
    [{ VARVE_BLOBS: 'file://host/share' }, 'VARVE_BLOBS', 'no file of this machine'],
    [{ VARVE_PULLS_PER_EVENT: '0' }, 'VARVE_PULLS_PER_EVENT', 'no whole number from 1'],
    [{ VARVE_SPARSE: 'yes' }, 'VARVE_SPARSE', 'choose one of accept, refuse'],
    [{ VARVE_CACHE_BYTES: '256 megs' }, 'VARVE_CACHE_BYTES', 'no size'],
    [{ VARVE_CACHE_BYTES: '-1' }, 'VARVE_CACHE_BYTES', 'no size'],
    [{ VARVE_CACHE_BYTES: '5%' }, 'VARVE_CACHE_BYTES', 'no size'],
    [{ VARVE_MIN_FREE: '100%' }, 'VARVE_MIN_FREE', 'no percentage'],
    [{ VARVE_MIN_FREE: 'much' }, 'VARVE_MIN_FREE', 'no size'],
    [{ VARVE_TLS_CERT: '/c.pem' }, 'VARVE_TLS_KEY', 'is missing'],
    [{ VARVE_TLS_KEY: '/k.pem' }, 'VARVE_TLS_CERT', 'is missing'],
    [{ VARVE_LOG_LEVEL: 'verbose' }, 'VARVE_LOG_LEVEL', 'choose one of trace'],
    [{ VARVE_METRICS_TOKEN: `${SECRET} x` }, 'VARVE_METRICS_TOKEN', 'no bearer token'],
    [{ VARVE_ADMIN_PASWORD: SECRET }, 'VARVE_ADMIN_PASWORD', 'did you mean VARVE_ADMIN_PASSWORD?'],
    [{ VARVE_PORT: '5000' }, 'VARVE_PORT', 'is not known'],
    [{ varve_data: '/x' }, 'varve_data', 'did you mean VARVE_DATA?'],
    [{ VARVE_TLS_CRET: '/x' }, 'VARVE_TLS_CRET', 'did you mean VARVE_TLS_CERT?'],
    [{ VARVE_KAFKA_BROKERS: 'k:9092' }, 'VARVE_KAFKA_BROKERS', 'yet'],
  ])('refuses %j, naming %s', (env, variable, message) => {
    const found = problems(env)
    expect(found).toEqual([{ variable, message: expect.stringContaining(message) }])
    expect(JSON.stringify(found)).not.toContain(SECRET)
  })

  test('names all that is wrong at once', () => {
    const env = { VARVE_LISTEN: 'x', VARVE_SPARSE: 'x', VARVE_CACHE_BYTES: 'x', VARVE_TSL_KEY: 'x' }
    expect(problems(env).map(({ variable }) => variable).sort()).toEqual(Object.keys(env).sort())
    expect(() => loadConfig(env)).toThrow(/^VARVE_TSL_KEY is not known.*\nVARVE_LISTEN is .*\n/)
  })

  test('proxies are single addresses and networks of both versions', () => {
    const { trustedProxies } = loadConfig({ VARVE_TRUSTED_PROXIES: '10.0.0.7, 192.168.0.0/16,fd00::/8' })
    const asked = [['10.0.0.7', 'ipv4'], ['10.0.0.8', 'ipv4'], ['192.168.9.9', 'ipv4'], ['fd12::1', 'ipv6'], ['2001::1', 'ipv6']] as const
    expect(asked.map(([address, family]) => trustedProxies.check(address, family))).toEqual([true, false, true, true, false])
  })

  test('what may be called is addresses and networks as well', () => {
    const { outboundNetworks } = loadConfig({ VARVE_OUTBOUND_NETWORKS: '10.1.0.0/16, ::1' })
    const asked = [['10.1.2.3', 'ipv4'], ['10.2.0.0', 'ipv4'], ['::1', 'ipv6']] as const
    expect(asked.map(([address, family]) => outboundNetworks.check(address, family))).toEqual([true, false, true])
  })

  test('the default reserve is 2 GiB, or 5 % of a small disk', () => {
    const { minFree } = loadConfig({})
    expect(reserveBytes(minFree, 1e12)).toBe(2_147_483_648)
    expect(reserveBytes(minFree, 1e10)).toBe(5e8)
    expect(reserveBytes({ kind: 'percent', percent: 10 }, 1e12)).toBe(1e11)
    expect(reserveBytes({ kind: 'bytes', bytes: 7 }, 1e12)).toBe(7)
  })
})
