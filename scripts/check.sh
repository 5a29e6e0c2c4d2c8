#!/usr/bin/env bash
# The checks, each by its name. Without a name it lists them; `all` runs all of them, the quick ones
# first, goes on after one that fails, and ends with the seconds that each took.
#
#   scripts/check.sh fmt clippy
#   scripts/check.sh all
#
# `scripts/install.sh` installs what they need from the system. Tools come into target/tools.
set -euo pipefail
cd "$(dirname "$0")/.."

# What makes the next build quicker is of no use where there is none.
if [ -n "${CI-}" ]; then
  export CARGO_INCREMENTAL=0
fi

package=tower-redis-session
library=tower_redis_session
target=${CARGO_TARGET_DIR:-target}

jobs=(
  "fmt               the format of all code"
  "typos             misspelt words in all files"
  "containerfile     the container file of the example application, by a linter"
  "package           what would be published: no warning, and no file that a user does not need"
  "deny              licences, sources and bans of all dependencies"
  "features          the library alone: each feature by itself, none, all; no dead code"
  "doc               the documentation as docs.rs makes it, without a warning"
  "api               the public API is the one in docs/public-api.txt"
  "minimal-versions  the library with each dependency at the lowest version that it allows"
  "clippy            lints, all targets of all packages"
  "fuzz              each fuzz target for ten seconds"
  "test              unit and integration tests of all packages"
  "doc-test          the examples in the documentation"
)

names() {
  local job
  for job in "${jobs[@]}"; do
    echo "${job%% *}"
  done
}

run() {
  echo "+ $*"
  "$@"
}

tool() {
  scripts/tools.sh "$1"
}

# The library's features, one a line; `public` leaves out those that begin with an underscore.
features() {
  cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys

package, which = sys.argv[1:]
found = [one for one in json.load(sys.stdin)["packages"] if one["name"] == package][0]
names = {name for name in found["features"] if name != "default"}
public = {name for name in names if not name.startswith("_")}
docs = set(found["metadata"]["docs"]["rs"]["features"])
if docs != public:
    sys.exit(f"docs.rs would not build all public features: {sorted(docs ^ public)}")
print("\n".join(sorted(public if which == "public" else names)))
' "$package" "$1"
}

job_fmt() {
  run cargo fmt --all --check
  run cargo fmt --manifest-path fuzz/Cargo.toml --check
}

job_typos() {
  run "$(tool typos)" --format brief
}

job_containerfile() {
  run "$(tool hadolint)" --no-color deploy/Containerfile
}

job_package() {
  local output files
  output=$(cargo package --locked --package "$package" --no-verify --allow-dirty 2>&1) || {
    echo "$output"
    return 1
  }
  # Cargo says of each test and benchmark that it is left out, and has no option for not saying so.
  # That they are left out is meant.
  if grep '^warning: ' <<<"$output" |
    grep -vE '^warning: ignoring (test|benchmark|example) `[a-z0-9_]+` as `[^`]+` is not included'; then
    echo "cargo package warns" >&2
    return 1
  fi
  files=$(cargo package --locked --package "$package" --list --allow-dirty)
  if grep -vxE 'src/.+\.(rs|lua|sql)|examples/(axum|hyper)\.rs|docs/(command-line|cook-book|import|run-book|scale)\.md|docs/monitoring/(alerts\.yml|dashboard\.json)|Cargo\.(toml|lock)|Cargo\.toml\.orig|\.cargo_vcs_info\.json|(README|CHANGELOG|SECURITY)\.md|LICENSE-(MIT|APACHE)' \
    <<<"$files"; then
    echo "these files are in the package, and no user needs them" >&2
    return 1
  fi
  if grep -E '^src/(.+/)?tests(\.rs|/)' <<<"$files"; then
    echo "these tests are in the package" >&2
    return 1
  fi
  grep -qx 'examples/axum.rs' <<<"$files"
  grep -E '^ +Packaged ' <<<"$output"
}

job_deny() {
  local deny
  deny=$(tool cargo-deny)
  run "$deny" --workspace --all-features --locked check licenses bans sources
  # The database of advisories is a Git repository outside of the registries.
  if [ -n "${CHECK_ADVISORIES-}" ]; then
    run "$deny" --workspace --all-features --locked check advisories
  else
    echo "NOT RUN, for want of the RustSec database: advisories (CHECK_ADVISORIES=1 fetches and checks)"
  fi
}

job_features() {
  local each combination
  # `_database` is not one to be had by itself: it says that `sqlite` or `postgres` is there.
  each=$(features all | grep -vx _database)
  # Besides: what only two of them have together, the durable store on one database.
  for combination in "" $each redis,sqlite "$(paste -sd, <<<"$each")"; do
    # Of the library alone, cargo takes no feature of a development dependency into account.
    run cargo clippy --quiet --locked --package "$package" --lib --no-default-features \
      --features "$combination" -- -D warnings
  done
  for combination in "" axum-login tower-sessions-0-14 tower-sessions-0-15; do
    run cargo clippy --quiet --locked --package "$package-compat" --lib --no-default-features \
      --features "$combination" -- -D warnings
  done
}

# `cargo doc` of the library with all public features, as docs.rs does it.
document() {
  local public
  public=$(features public | paste -sd,)
  RUSTDOC="$PWD/scripts/unstable_rustdoc.sh" RUSTDOCFLAGS="$1" run cargo doc --locked --no-deps \
    --package "$package" --lib --no-default-features --features "$public"
}

job_doc() {
  document "-D warnings --cfg docsrs"
}

job_api() {
  document "-Z unstable-options --output-format json"
  local listing=$target/public-api.txt
  scripts/public_api.py "$target/doc/$library.json" >"$listing"
  if [ -n "${BLESS-}" ]; then
    run cp "$listing" docs/public-api.txt
  elif ! diff -u docs/public-api.txt "$listing"; then
    echo "the public API is not the one in docs/public-api.txt: if this is meant, say so in" >&2
    echo "CHANGELOG.md and run BLESS=1 scripts/check.sh api" >&2
    return 1
  fi
}

job_minimal-versions() {
  local folder=$target/minimal-versions
  rm -rf "$folder"
  mkdir -p "$folder"
  scripts/minimal_manifest.py Cargo.toml >"$folder/Cargo.toml"
  # Whatever is not named in the manifest stays at the version of our own lock file.
  cp -r Cargo.lock README.md src "$folder"
  run cargo check --manifest-path "$folder/Cargo.toml" --target-dir "$target" --lib --all-features
}

job_clippy() {
  run cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
}

job_fuzz() {
  run scripts/fuzz.sh 10 smoke
}

job_test() {
  # Servers of other versions, for the tests that compare them.
  run scripts/servers.sh
  # What looks at pages for what shuts people out.
  run scripts/axe.sh
  run cargo test --locked --workspace --all-features --tests --no-fail-fast
  full_disk
}

# One test fills a disk of its own up, which takes the right to mount one.
full_disk() {
  local disk output=$target/full-disk.txt
  disk=$(mktemp -d)
  if ! mount -t tmpfs -o size=1m tmpfs "$disk" 2>/dev/null; then
    rmdir "$disk"
    echo "NOT RUN, for want of the right to mount: a full disk behind the database" >&2
    return
  fi
  umount "$disk"
  rmdir "$disk"
  run cargo test --locked --workspace --all-features --tests -- --ignored a_full_disk 2>&1 |
    tee "$output"
  grep -qE '^test .*a_full_disk\w* \.\.\. ok$' "$output" || {
    echo "no test of a full disk was run" >&2
    return 1
  }
}

job_doc-test() {
  run cargo test --locked --workspace --all-features --doc
}

list() {
  echo "scripts/check.sh JOB..., or all:"
  printf '  %s\n' "${jobs[@]}"
}

if [ "$#" -eq 0 ]; then
  list
  exit
fi
wanted=("$@")
if [ "$*" = all ]; then
  mapfile -t wanted < <(names)
fi
for job in "${wanted[@]}"; do
  if ! grep -qx -- "$job" <<<"$(names)"; then
    echo "no job is called $job" >&2
    list >&2
    exit 2
  fi
done

table=() failed=()
for job in "${wanted[@]}"; do
  echo "== $job"
  start=$SECONDS
  set +e
  (
    set -e
    "job_$job"
  )
  status=$?
  set -e
  result=passed
  if [ "$status" -ne 0 ]; then
    result=FAILED
    failed+=("$job")
  fi
  table+=("$(printf '%-18s%6d s  %s' "$job" "$((SECONDS - start))" "$result")")
done

echo "== seconds"
printf '%s\n' "${table[@]}"
if [ "${#failed[@]}" -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
echo "all checks passed: ${wanted[*]}"
