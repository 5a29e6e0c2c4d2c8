#!/usr/bin/env bash
# All checks, on a machine that has a Rust toolchain: installs what they need, then runs every job of
# `scripts/check.sh`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
exec scripts/check.sh all
