#!/usr/bin/env bash
# Runs the released tower-sessions, axum-login, axum_session, actix-session, express-session,
# Flask-Session and Django against a Redis of its own, and lets the tests of `src/import` read what they
# wrote and take it over, besides the samples in the repository:
#
#   scripts/import_samples.sh
#
# Needs redis-server, Node.js 20 with npm, and Python 3.11 with venv.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/target/import-samples
mkdir -p "$work"
cp scripts/import_samples/express.mjs "$work/"
(cd "$work" && npm install --silent --no-audit --no-fund --no-save \
  connect-redis@9 express@5 express-session@1.19 redis@5)
CARGO_TARGET_DIR=$work/rust cargo build --quiet --locked --manifest-path scripts/import_samples/rust/Cargo.toml
python3 -m venv "$work/python"
"$work/python/bin/pip" install --quiet 'Django~=5.2' 'flask-session==0.8.0' redis

port=${REDIS_SAMPLES_PORT:-17391}
redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no >"$work/redis.log" &
redis=$!
trap 'kill "$redis"' EXIT
until redis-cli -p "$port" ping >/dev/null 2>&1; do
  kill -0 "$redis" && sleep 0.1
done

lines=$work/samples.jsonl
(cd "$work" && node express.mjs "$port") >"$lines"
"$work/python/bin/python" scripts/import_samples/python.py "$port" >>"$lines"
"$work/rust/debug/import-samples" "$port" >>"$lines"
cat "$lines"
IMPORT_SAMPLES=$lines cargo test --locked --package tower-redis-session --features import,testing \
  --lib -- import::
