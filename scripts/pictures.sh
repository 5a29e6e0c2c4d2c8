#!/usr/bin/env bash
# Makes the pictures of docs/caption-server.md: the example server in Chromium, its Redis killed on the way.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p docs/pictures
PICTURES="$PWD/docs/pictures" cargo test --locked -p caption-server \
  the_pictures_of_the_readme_can_be_made
