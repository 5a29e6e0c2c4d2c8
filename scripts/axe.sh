#!/usr/bin/env bash
# Gets axe, which looks at pages for what shuts people out, from the npm registry into target/axe.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.10.3
if [ ! -e target/axe/package/axe.min.js ]; then
  mkdir -p target/axe
  cd target/axe
  npm pack --silent "axe-core@$version" >/dev/null
  tar -xzf "axe-core-$version.tgz" package/axe.min.js
fi
