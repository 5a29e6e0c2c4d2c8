#!/usr/bin/env bash
# Installs what the checks need from the system and do not find, on Debian and its like: for all of
# them, or with the argument `tools` for all but the jobs `test` and `doc-test`. The Rust toolchain has
# to be there.
set -euo pipefail

missing=()
needs() {
  command -v "$1" >/dev/null || missing+=("${@:2}")
}
needs cc gcc libc6-dev
# For libFuzzer.
needs c++ g++
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ "${1:-all}" = all ]; then
  needs redis-server redis-server
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || needs postgres postgresql
  needs psql postgresql-client
  PATH="$PATH:/usr/sbin" needs pgbouncer pgbouncer
  needs sqlite3 sqlite3
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
  # For the tests of metrics and alert rules.
  needs promtool prometheus
  needs chromium chromium
  needs chromedriver chromium-driver
  needs npm npm
fi

if [ "${#missing[@]}" -eq 0 ]; then
  exit
fi
if ! command -v apt-get >/dev/null; then
  echo "the checks need these Debian packages or their like: ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}"
root=()
if [ "$(id -u)" -ne 0 ]; then
  root=(sudo -n)
fi
"${root[@]}" apt-get update -qq
# The tests start servers of their own; the package's service is not wanted.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
