#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Fetches what building modules for one of kernel.sh's kernels takes, once, and unpacks it beside it; nothing is installed.
# usage: headers.sh KERNEL
# Prints the folder for make -C. Exits with 77 and the reason if there is no way to get it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$(realpath -m "$here/../../build/vm")
. "$here/apt.sh"

skip() {
	echo "SKIP: $*"
	exit 77
}

kernel() {
	tree=$("$here/kernel.sh" "$1") || {
		local status=$?
		echo "$tree"
		exit $status
	}
	release=$(basename "$tree"/lib/modules/*)
}

headers() {
	local packages
	mapfile -t packages < <(apt-cache depends "linux-headers-$release" 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-\(headers\|kbuild\)-.*\)$/\1/p')
	((${#packages[@]})) || {
		echo "apt knows no linux-headers-$release"
		return 1
	}
	echo "fetching linux-headers-$release, 15 MB" >&2
	download "linux-headers-$release" "${packages[@]}"
}

# Debian keeps them as long as their kernel. When it has a newer one, that is fetched too.
anew() { # KERNEL
	echo "$(tail -n 1 log); fetching a newer Linux $1" >&2
	mv "$tree" old
	if (kernel "$1") >log && kernel "$1" && headers >log; then
		return
	fi
	[[ -d $tree ]] || mv old "$tree"
	skip "no headers of Linux $1: $(tail -n 1 log | sed 's/^SKIP: //')"
}

kernel "$1"
if [[ ! -e $tree/headers ]]; then
	[[ -d $tree/boot ]] || skip "no headers in $tree, which is not of a package: remove it and build it again"
	mkdir -p "$cache"
	exec 9>"$cache/headers.lock"
	flock 9
fi
if [[ ! -e $tree/headers ]]; then
	new=$(mktemp -d "$cache/new-XXXXXX")
	trap 'rm -rf "$new"' EXIT
	cd "$new"
	fetch headers || anew "$1"
	for package in *.deb; do
		# No vmlinux: who has it makes BTF of a module, which takes pahole.
		dpkg-deb --fsys-tarfile "$package" | tar -x --exclude=./lib --exclude=./usr/share --exclude='./usr/src/*/vmlinux'
	done
	for makefile in usr/src/*/Makefile; do
		sed -i 's|^include /usr/src/|include ../|' "$makefile"
	done
	rm -rf "${tree:?}/usr"
	mv usr "$tree/usr"
	ln -s "usr/src/linux-headers-$release" "$tree/headers"
fi
echo "$tree/headers"
