#!/usr/bin/env bash
# Each fuzz target for a while: 60 seconds, or as many as the first argument says. Takes a nightly
# toolchain if there is one, else the installed one with nightly's options; gets `cargo-fuzz` if it is
# missing.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
toolchain=()
if cargo +nightly --version >/dev/null 2>&1; then
  toolchain=(+nightly)
else
  export RUSTC_BOOTSTRAP=1
fi
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz

for target in fuzz/fuzz_targets/*.rs; do
  name=$(basename "$target" .rs)
  mkdir -p "fuzz/corpus/$name"
  echo "+ $name for $seconds s"
  cargo "${toolchain[@]}" fuzz run "$name" "fuzz/corpus/$name" "fuzz/seeds/$name" -- \
    -max_total_time="$seconds" -print_final_stats=1
done
echo "no target failed"
