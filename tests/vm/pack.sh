#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Packs an initramfs: busybox, bash, files with the libraries they need, modules with those they depend on.
# usage: pack.sh INITRD KERNEL-FOLDER [-m MODULE]... [-o OUR-MODULE.ko]... [-p PYTHON-SCRIPT]... FILE...
# A file keeps its path; a FILE without a slash is a program of PATH. A module is loaded by the guest in the order of
# /modules/order; what is ours is only put into /modules/ours, but what it depends on is loaded.
set -eu
initrd=$(realpath -m "$1")
kernel=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
interpreter=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')
root=$(mktemp -d /tmp/slt-XXXXXX)
trap 'rm -rf "$root"' EXIT
files=() names=() ours=() scripts=()
declare -A file_of loaded

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# What each module of the kernel is called is not always its file's name: - and _ are one.
index() {
	local file name
	while read -r file; do
		name=${file##*/}
		name=${name%%.ko*}
		file_of[${name//-/_}]=$file
	done < <(find "$kernel/lib/modules" -name '*.ko*')
}

# add_module NAME: after those that it depends on
add_module() {
	local name=${1//-/_} other file
	[[ -z ${loaded[$name]-} ]] || return 0
	loaded[$name]=y
	file=${file_of[$name]-}
	if [[ -z $file ]]; then
		grep -q "/${name//_/[-_]}\.ko" "$kernel"/lib/modules/*/modules.builtin || fail "this kernel has no module $1"
		return 0
	fi
	for other in $(modinfo -F depends "$file" | tr , ' '); do
		add_module "$other"
	done
	case $file in
	*.xz) xz -dc "$file" >"$root/modules/$name.ko" ;;
	*) cp "$file" "$root/modules/$name.ko" ;;
	esac
	echo "$name" >>"$root/modules/order"
}

# The libraries of programs, and who loads them.
closure() {
	ldd "$@" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u
}

# The interpreter, and the modules that scripts import, compiled as they are.
python_files() {
	local script
	echo "$interpreter"
	for script; do
		(cd "${script%/*}" && "$interpreter" -B -c '
import encodings.idna, importlib, locale, os, sys, tokenize, traceback # some that others import late
sys.path.insert(0, os.getcwd())
importlib.import_module(sys.argv[1])
for module in list(sys.modules.values()):
    for path in (getattr(module, "__file__", None), getattr(module, "__cached__", None)):
        if path and os.path.exists(path):
            print(path)' "$(basename "$script" .py)")
	done
}

while (($#)); do
	case $1 in
	-m) names+=("$2") && shift ;;
	-o) ours+=("$2") && shift ;;
	-p) scripts+=("$2") && shift ;;
	*/*) files+=("$1") ;;
	*) files+=("$(type -P "$1")") || fail "no program $1 here" ;;
	esac
	shift
done

mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{dev,proc,sys,run,tmp,etc,modules/ours}
for dir in bin sbin lib lib64; do
	ln -s "usr/$dir" "$root/$dir"
done
: >"$root/modules/order"
index
for name in "${names[@]}"; do
	add_module "$name"
done
for name in "${ours[@]}"; do
	cp "$name" "$root/modules/ours"
	for other in $(modinfo -F depends "$name" | tr , ' '); do
		add_module "$other"
	done
done

files+=("$(type -P bash)" "$(type -P busybox)")
((${#scripts[@]} == 0)) || mapfile -t -O ${#files[@]} files < <(python_files "${scripts[@]}")
mapfile -t -O ${#files[@]} files < <(closure "${files[@]}")
printf '%s\n' "${files[@]}" | sort -u | cpio -pdmL --quiet "$root"
cp "$here/init" "$root/init"
((${#scripts[@]} == 0)) || [[ -e $root/usr/bin/python3 ]] || ln -s "$interpreter" "$root/usr/bin/python3"
[[ -e $root/usr/bin/sh ]] || ln -s busybox "$root/usr/bin/sh"
[[ -e $root/usr/bin/env ]] || ln -s busybox "$root/usr/bin/env"
chmod 755 "$root" "$root/init"
chmod 1777 "$root/tmp"
# Not compressed: reading more is faster than what a slow guest would do to unpack it.
(cd "$root" && find . -print0 | cpio -o -0 -H newc -R 0:0 --quiet) >"$initrd"
