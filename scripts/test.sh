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
has_postgres() {
  command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}
has_postgres || missing+=(postgresql)
command -v psql >/dev/null || missing+=(postgresql-client)
command -v sqlite3 >/dev/null || missing+=(sqlite3)
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
command -v npm >/dev/null || missing+=(npm)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
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

# Servers of other versions, for the tests that compare them.
run scripts/servers.sh
# What looks at pages for what shuts people out.
run scripts/axe.sh
run cargo fmt --check
run cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
for features in "" redis sqlite postgres redis,sqlite sealed,axum; do
  run cargo clippy --locked --lib --no-default-features --features "$features" -- -D warnings
done
run cargo test --locked --workspace --all-features --no-fail-fast
# One test fills a disk of its own up, which takes the right to mount one.
disk=$(mktemp -d)
if mount -t tmpfs -o size=1m tmpfs "$disk" 2>/dev/null; then
  umount "$disk"
  run cargo test --locked --all-features --test durable -- --ignored
else
  echo "NOT RUN, for want of the right to mount: a full disk behind the database" >&2
fi
rmdir "$disk"
run env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --all-features
echo "all checks passed"
