#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Fetches one of Debian's kernels as a package, once, and unpacks it; nothing is installed.
# usage: kernel.sh 6.1|6.12|6.12-cloud|6.12-iommufd[-cdev]|6.12-kasan
# Prints the folder: vmlinux and lib/modules/*. Exits with 77 and the reason if there is no way to get it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$(realpath -m "$here/../../build/vm")
. "$here/apt.sh"
place=$cache/linux-$1

skip() {
	echo "SKIP: $*"
	exit 77
}

# Their names change with every ABI; those of the meta-packages that depend on them do not.
case $1 in
6.1) metas='linux-image-6.1-amd64 linux-image-amd64' ;;
6.12) metas='linux-image-6.12-amd64 linux-image-amd64' ;;
6.12-cloud) metas='linux-image-6.12-cloud-amd64 linux-image-cloud-amd64' ;;
6.12-iommufd | 6.12-iommufd-cdev | 6.12-kasan) metas= ;; # of no package
*)
	echo "usage: $0 6.1|6.12|6.12-cloud|6.12-iommufd[-cdev]|6.12-kasan" >&2
	exit 2
	;;
esac

if [[ -d $place ]]; then
	echo "$place"
	exit
fi
[[ -n $metas ]] || skip "Linux $1 is in no package: make vm-iommufd or make check-kasan builds it"
[[ $(uname -m) == x86_64 ]] || skip "guests are for x86-64"
command -v apt-get >/dev/null || skip "Debian's kernels are fetched with apt-get"

package_of() {
	# shellcheck disable=SC2086 # a list of words
	apt-cache depends $metas 2>/dev/null |
		sed -n "s/^ *Depends: \(linux-image-${1%%-*}\.[^ ]*\)\$/\1/p" | head -n 1
}

kernel() {
	local package bytes
	package=$(package_of "$1")
	[[ -n $package ]] || {
		echo "apt knows no package of Linux $1"
		return 1
	}
	bytes=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Size: //p')
	echo "fetching $package, $((${bytes:-0} / 1000000)) MB" >&2
	download "$package"
}

# The kernel as it is behind what unpacks it when a machine starts: that takes an emulated processor half of its boot.
unpacked() { # VMLINUZ
	local magic at
	for magic in '\xfd7zXZ\x00 xz' '\x28\xb5\x2f\xfd zstd' '\x1f\x8b\x08 gzip'; do
		at=$(LC_ALL=C grep -abom 1 -P "${magic% *}" "$1" | head -n 1 | cut -d : -f 1)
		# Behind it lies what no decompressor likes; what comes before that is whole.
		[[ -n $at ]] || continue
		tail -c "+$((at + 1))" "$1" | ${magic#* } -dc 2>/dev/null >tree/vmlinux || true
		[[ $(head -c 4 tree/vmlinux | tr -d '\0') != $'\x7fELF' ]] || return 0
	done
	cp "$1" tree/vmlinux # QEMU takes this as well
}

mkdir -p "$cache"
exec 9>"$cache/lock" # two tests at once want one download
flock 9
if [[ ! -d $place ]]; then
	new=$(mktemp -d "$cache/new-XXXXXX")
	trap 'rm -rf "$new"' EXIT
	cd "$new"
	fetch kernel "$1" || skip "no Linux $1: $(tail -n 1 log)"
	mkdir tree
	dpkg-deb --fsys-tarfile ./*.deb | tar -x -C tree ./boot ./lib/modules
	unpacked tree/boot/vmlinuz-*
	mv tree "$place"
fi
echo "$place"
