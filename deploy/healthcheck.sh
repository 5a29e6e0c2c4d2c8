#!/usr/bin/env bash
# Succeeds while the application is ready: `/readyz` responds with 200. Needs no program but bash.
#
#   healthcheck [PORT [PATH]]
#
# Connects to 127.0.0.1, whatever host LISTEN names: of LISTEN it takes the port.
set -euo pipefail

listen=${LISTEN:-127.0.0.1:3000}
port=${1:-${listen##*:}}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "${2:-/readyz}" >&3
IFS= read -r -t 2 line <&3
[[ $line == 'HTTP/1.1 200 '* ]]
