#!/usr/bin/env bash
# All checks, on a machine that has a Rust toolchain: installs what the tests need, then format,
# lints, tests, examples in the documentation, documentation.
set -euo pipefail
cd "$(dirname "$0")/.."

install() {
  echo "installing $*"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    root=(sudo -n)
  fi
  "${root[@]}" apt-get update -qq
  # The tests start servers of their own; the package's service is not wanted.
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "$@"
}

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v redis-server >/dev/null || missing+=(redis-server)
if [ "${#missing[@]}" -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "the tests need these Debian packages or their like: ${missing[*]}" >&2
    exit 1
  fi
  install "${missing[@]}"
fi

run() {
  echo "+ $*"
  "$@"
}

run cargo fmt --check
run cargo clippy --locked --all-targets --all-features -- -D warnings
run cargo clippy --locked --lib --no-default-features -- -D warnings
run cargo test --locked --all-features
run env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features
echo "all checks passed"
