#!/usr/bin/env bash
# Brings what the suites with real clients need (Debian, as root): packages by apt-get, and Go programs, each built once
# into a cache outside the clone. Run again, it finds everything in place and needs no network.
# With the argument `bench` it brings what Varve is compared with (npm run bench) instead.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
cache=${VARVE_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/varve-test-tools}
if [ "${1-}" = bench ]; then
  here=$(cd "$here/../../bench/peers" && pwd)
  packages=(nginx-light docker-registry wrk ca-certificates)
  programs=(distribution)
else
  packages=(docker.io containerd podman skopeo buildah runc crun conmon busybox-static strace debootstrap zstd openssl git ca-certificates chromium
    slapd ldap-utils samba-ad-dc samba-ad-provision python3-venv)
  # cosign first: it takes longest, and apt-get works beside it.
  programs=(cosign helm crane oras regctl conformance)
fi

say() { echo "Varve: $*"; }
fail() { echo "Varve: $*" >&2; exit 1; }

# One program a folder; its go.mod names the package (`tool`) and pins every module below it.
package_of() { awk '$1 == "tool" { print $2 }' "$here/$1/go.mod"; }
# How it is built counts as much as what from: another Go or other flags make another program.
stamp_of() { { cat "$here/$1/go.mod" "$here/$1/go.sum"; declare -f build; } | sha256sum | cut -d' ' -f1; }
is_built() { [ -x "$cache/bin/$1" ] && [ "$(cat "$cache/stamps/$1" 2>/dev/null)" = "$(stamp_of "$1")" ]; }

build() {
  (cd "$here/$1" && CGO_ENABLED=0 GOWORK=off "$go" build -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' -o "$2" "$(package_of "$1")")
}

build_all() {
  local program started
  for program in "$@"; do
    started=$SECONDS
    say "building $program ..."
    if ! build "$program" "$cache/bin/$program.new" >"$cache/$program.log" 2>&1; then
      tail -n 20 "$cache/$program.log" >&2
      fail "could not build $program; all that Go said stands in $cache/$program.log"
    fi
    mv "$cache/bin/$program.new" "$cache/bin/$program"
    stamp_of "$program" >"$cache/stamps/$program"
    say "built $program in $((SECONDS - started)) s"
  done
}

# Installing docker.io and containerd would start both as services, with a bridge and firewall rules that no test wants; slapd and samba likewise.
policy=/usr/sbin/policy-rc.d
own_policy=
end_policy() { [ -z "$own_policy" ] || rm -f "$policy"; own_policy=; }

install_packages() {
  [ "$(id -u)" = 0 ] || fail "these packages are missing, and only root can install them: $*"
  command -v apt-get >/dev/null || fail "this is no Debian (no apt-get); install by its own means: $*"
  say "installing $* ..."
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    own_policy=yes
  fi
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  local log=$cache/apt.log
  if ! { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install them; all that it said stands in $log"
  fi
  end_policy
  say "installed them in $SECONDS s"
}

mkdir -p "$cache/bin" "$cache/stamps"
exec 9>"$cache/lock"
flock 9

unbuilt=()
for program in "${programs[@]}"; do is_built "$program" || unbuilt+=("$program"); done
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done

builds=
trap 'end_policy; if [ -n "$builds" ]; then kill "$builds" 2>/dev/null || true; fi' EXIT
if [ ${#unbuilt[@]} -gt 0 ]; then
  go=$(command -v go || true)
  if [ -z "$go" ] && [ -x /usr/local/go/bin/go ]; then go=/usr/local/go/bin/go; fi
  wanted=$(awk '$1 == "go" { print $2 }' "$here"/*/go.mod | sort -V | tail -n 1)
  [ -n "$go" ] || fail "Go $wanted or newer is needed to build ${unbuilt[*]}, and there is none. Debian's golang-go is older: install Go itself, so that 'go version' works."
  has=$("$go" env GOVERSION)
  has=${has#go}
  # An older Go fetches the one that go.mod asks for, unless it was told not to.
  if [ "$("$go" env GOTOOLCHAIN)" = local ] && [ "$(printf '%s\n' "$wanted" "$has" | sort -V | head -n 1)" != "$wanted" ]; then
    fail "Go $wanted or newer is needed to build ${unbuilt[*]}, and $go is $has."
  fi
  # Without certificates Go reaches nothing; else it works beside apt-get.
  if [[ " ${missing[*]-} " = *" ca-certificates "* ]]; then
    install_packages "${missing[@]}"
    missing=()
  fi
  build_all "${unbuilt[@]}" 9>&- &
  builds=$!
fi
if [ ${#missing[@]} -gt 0 ]; then install_packages "${missing[@]}"; fi
if [ -n "$builds" ]; then
  wait "$builds" || exit 1
  builds=
fi

# Harbor's Python client, each package at one version, in a virtual environment of its own.
make_harborapi() {
  local wanted=$here/../e2e/harbor/requirements.txt folder=$cache/harborapi stamp
  stamp=$({ cat "$wanted"; python3 --version; } | sha256sum | cut -d' ' -f1)
  [ -x "$cache/bin/harborapi-python" ] && [ "$(cat "$cache/stamps/harborapi" 2>/dev/null)" = "$stamp" ] && return
  say "installing Harbor's Python client ..."
  rm -rf "$folder"
  if ! { python3 -m venv "$folder" && "$folder/bin/pip" install --disable-pip-version-check --only-binary :all: --no-deps -r "$wanted"; } >"$cache/harborapi.log" 2>&1; then
    tail -n 20 "$cache/harborapi.log" >&2
    fail "could not install Harbor's Python client; all that pip said stands in $cache/harborapi.log"
  fi
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$folder/bin/python" >"$cache/bin/harborapi-python"
  chmod 755 "$cache/bin/harborapi-python"
  echo "$stamp" >"$cache/stamps/harborapi"
}
if [ "${1-}" != bench ]; then make_harborapi; fi
say "everything is in place (programs in $cache/bin)"
