#!/usr/bin/env bash
# Each fuzz target for a while, two at a time: 60 seconds, or as many as the first argument says.
# With the address sanitizer, by a nightly toolchain if there is one, else by the installed one with
# nightly's options.
#
#   scripts/fuzz.sh 10 smoke
#
# is quick to build instead: no sanitizer (the library has no unsafe code), no optimisation, and no
# option of nightly's.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
kind=${2:-full}
fuzz=$(scripts/tools.sh cargo-fuzz)
triple=$(rustc -vV | sed -n 's/^host: //p')
target_dir=target/fuzz/$kind
options=(--target-dir "$target_dir" --target "$triple")

case $kind in
  full)
    folder=$target_dir/$triple/release
    if cargo +nightly --version >/dev/null 2>&1; then
      export RUSTUP_TOOLCHAIN=nightly
    else
      export RUSTC_BOOTSTRAP=1
    fi
    ;;
  smoke)
    folder=$target_dir/$triple/debug
    options+=(--dev --sanitizer none)
    export CARGO_PROFILE_DEV_DEBUG=false CARGO_INCREMENTAL=0
    ;;
  *)
    echo "no kind of run is called $kind: full, smoke" >&2
    exit 2
    ;;
esac
"$fuzz" fuzz build "${options[@]}"

logs=$target_dir/logs
mkdir -p "$logs" fuzz/artifacts
targets=()
for file in fuzz/fuzz_targets/*.rs; do
  targets+=("$(basename "$file" .rs)")
done

fuzz_one() {
  mkdir -p "fuzz/corpus/$1" "fuzz/artifacts/$1"
  "$folder/$1" "fuzz/corpus/$1" "fuzz/seeds/$1" -max_total_time="$seconds" -print_final_stats=1 \
    -artifact_prefix="fuzz/artifacts/$1/" >"$logs/$1.txt" 2>&1
}

failed=()
for ((first = 0; first < ${#targets[@]}; first += 2)); do
  processes=()
  pair=("${targets[@]:first:2}")
  for target in "${pair[@]}"; do
    fuzz_one "$target" &
    processes+=($!)
  done
  for place in "${!pair[@]}"; do
    target=${pair[place]}
    if wait "${processes[place]}"; then
      runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$logs/$target.txt")
      echo "$target: $runs inputs in $seconds s"
    else
      failed+=("$target")
      tail -n 40 "$logs/$target.txt"
      echo "$target FAILED: the input is in fuzz/artifacts/$target, the whole log in $logs" >&2
    fi
  done
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
echo "no target failed"
