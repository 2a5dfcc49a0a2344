#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Assembles what `dkms add` takes of a module of kmod/: its source, and dkms.conf with sluice's version. Prints the folder.
# usage: scripts/dkms.sh MODULE [INTO]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
into=${2:-$root/build/dkms}
version=$(sed -n "s/^ *version: '\([^']*\)',$/\1/p" "$root/meson.build")
folder=$into/$1-${version:?meson.build names no version}

rm -rf "$folder"
mkdir -p "$folder"
cp -R "$root/kmod/$1/." "$folder"
sed -i "s/#MODULE_VERSION#/$version/" "$folder/dkms.conf"
echo "$folder"
