#!/usr/bin/env bash
# Makes a Chromium whose WebGPU runs on Mesa's lavapipe, which has 16-bit floats and is many times faster than the
# driver that Chromium ships. For Debian and its relatives on x86-64 and ARM64; needs no rights beyond those of the
# caller, and changes nothing outside of the folder it writes: target/browser/lavapipe, or the one that is given.
#
# Chromium accepts no old Mesa. If the system's is one, a newer one is unpacked to one side. The copy of Chromium is
# made of hard links where the file system allows it, so it costs no space. What is there already is kept.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(realpath -m "${1:-target/browser/lavapipe}")
original=${CHROMIUM_FOLDER:-/usr/lib/chromium}
sources=tests/browser/lavapipe
architecture=$(uname -m)-linux-gnu

fail() {
  echo "chromium on lavapipe: $1" >&2
  exit 3
}

[ -x "$original/chromium" ] ||
  fail "no Chromium in $original; install Debian's package chromium, or set CHROMIUM_FOLDER"
for program in cc apt-get dpkg-deb dpkg; do
  command -v "$program" >/dev/null || fail "the program $program is missing"
done

# What was made stays good until Chromium, the driver or this recipe changes.
recipe=$(cat "$0" "$sources/forward.c" | sha256sum | cut -c1-16)
stamp="$recipe $(stat -c '%i %s %Y' "$original/chromium" | tr ' ' -)"
[ "$(cat "$folder/stamp" 2>/dev/null || true)" != "$stamp" ] || exit 0
rm -rf "$folder"
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The backports of this release, from the mirror that the system uses, with lists and archives of their own.
newer_mesa() {
  local release mirror options
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" 'Created-By: Packages' | head -n 1)
  [ -n "$release" ] && [ -n "$mirror" ] || fail "apt knows no mirror of this release, so there is no newer Mesa"
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release-backports main" >"$work/sources"
  options=(-qq -o "Dir::Etc::sourcelist=$work/sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work" -o "Dir::Cache::archives=$work/archives" -o APT::Sandbox::User=)
  apt-get "${options[@]}" update
  (cd "$work" && apt-get "${options[@]}" download "mesa-vulkan-drivers/$release-backports")
  dpkg-deb -x "$work"/mesa-vulkan-drivers_*.deb "$work/mesa"
  cp "$work/mesa/usr/lib/$architecture/libvulkan_lvp.so" "$folder/"
}

installed=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null || true)
if [ -n "$installed" ] && dpkg --compare-versions "$installed" ge 24; then
  driver=/usr/lib/$architecture/libvulkan_lvp.so
else
  newer_mesa
  driver=$folder/libvulkan_lvp.so
fi
missing=$(ldd "$driver" | grep 'not found' || true)
[ -z "$missing" ] ||
  fail "$driver needs libraries that are missing (Debian's mesa-vulkan-drivers brings them): $missing"

cp -al "$original" "$folder/chromium" 2>/dev/null || {
  rm -rf "$folder/chromium"
  cp -a "$original" "$folder/chromium"
}
# Removed first: writing to a hard link would write to the system's file.
rm "$folder/chromium/libvk_swiftshader.so"
cc -std=c11 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden "-DDRIVER=\"$driver\"" \
  -o "$folder/chromium/libvk_swiftshader.so" "$sources/forward.c" -ldl
# What draws the page keeps the driver that it knows.
rm "$folder/chromium/vk_swiftshader_icd.json"
cp "$original/libvk_swiftshader.so" "$folder/chromium/libvk_original.so"
sed 's/libvk_swiftshader\.so/libvk_original.so/' "$original/vk_swiftshader_icd.json" \
  >"$folder/chromium/vk_swiftshader_icd.json"
echo "$stamp" >"$folder/stamp"
