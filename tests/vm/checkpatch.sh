#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the kernel's checkpatch.pl. It is in no package but that of the whole source, 150 MB, which is fetched once for it.
# usage: checkpatch.sh ARGUMENT...
# Exits with 77 and the reason if there is no way to get it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$(realpath -m "$here/../../build/vm")
place=$cache/checkpatch
. "$here/apt.sh"

skip() {
	echo "SKIP: $*"
	exit 77
}

if [[ ! -d $place ]]; then
	command -v apt-get >/dev/null || skip "checkpatch.pl is fetched with apt-get"
	mkdir -p "$cache"
	exec 9>"$cache/checkpatch.lock"
	flock 9
fi
if [[ ! -d $place ]]; then
	new=$(mktemp -d "$cache/new-XXXXXX")
	trap 'rm -rf "$new"' EXIT
	cd "$new"
	echo "fetching linux-source-6.12 for its checkpatch.pl, 150 MB" >&2
	fetch download linux-source-6.12 || skip "no checkpatch.pl: $(tail -n 1 log)"
	mkdir scripts
	# It ends as soon as it has them; who writes to it then complains.
	dpkg-deb --fsys-tarfile ./*.deb 2>/dev/null | tar -xO ./usr/src/linux-source-6.12.tar.xz 2>/dev/null |
		tar -xJ --strip-components 1 --occurrence=1 \
			linux-source-6.12/scripts/{checkpatch.pl,const_structs.checkpatch,spelling.txt}
	mv scripts "$place"
	cd "$OLDPWD"
fi
perl "$place/checkpatch.pl" "$@"
