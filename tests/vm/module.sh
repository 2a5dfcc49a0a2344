#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds a module of kmod/ for one of kernel.sh's kernels, outside the tree, without warnings, if that was not done yet.
# usage: module.sh KERNEL FOLDER [MAKE-ARGUMENT...]
# Prints the module's file. Exits with 77 and the reason if there is nothing to build it with. With arguments for make it is
# built anew, what make says comes out, and nothing is kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$(realpath -m "$here/../../build/vm")
folder=$(realpath "${2:?usage: $0 KERNEL FOLDER [MAKE-ARGUMENT...]}")
name=$(basename "$folder")
headers=$("$here/headers.sh" "$1") || {
	status=$?
	echo "$headers"
	exit $status
}
built=$(dirname "$headers")/ours/$name.ko
shift 2

up_to_date() {
	[[ -e $built && -z $(find "$folder" -newer "$built" -print -quit) ]]
}

exec 9>"$cache/module.lock"
flock 9
if (($#)) || ! up_to_date; then
	dir=$(mktemp -d "$cache/new-XXXXXX")
	trap 'rm -rf "$dir"' EXIT
	cp -r "$folder" "$dir/$name"
	stamp=$dir/stamp
	: >"$stamp"
	make -s -j "$(nproc)" -C "$headers" M="$dir/$name" W=1 KCFLAGS=-Werror "$@" modules >"$dir/log" 2>&1 || {
		cat "$dir/log" >&2
		exit 1
	}
	if (($#)); then
		cat "$dir/log"
		exit
	fi
	mkdir -p "$(dirname "$built")"
	strip -g "$dir/$name/$name.ko"
	touch -r "$stamp" "$dir/$name/$name.ko" # what changes while make runs is newer
	mv "$dir/$name/$name.ko" "$built"
fi
echo "$built"
