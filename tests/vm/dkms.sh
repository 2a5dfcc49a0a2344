#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# DKMS takes a module of ours and builds it for Debian's kernels. DKMS is fetched and unpacked; nothing is installed.
# usage: dkms.sh MODULE
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d /tmp/slt-XXXXXX)
trap 'rm -rf "$dir"' EXIT
. "$here/apt.sh"

skip() {
	echo "SKIP: $*"
	exit 77
}

# Its own folders, and no key: it would make one in /var.
dkms() {
	sign_file=none PATH=$PATH:/usr/sbin:/sbin bash usr/sbin/dkms "$@" -m "$module" -v "$version" \
		--dkmstree "$dir/tree" --sourcetree "$dir/source" --installtree "$dir/lib" >>said 2>&1 || {
		cat said tree/"$module/$version"/build/make.log
		exit 1
	}
}

command -v apt-get >/dev/null || skip "DKMS is fetched with apt-get"
module=$1
declare -A headers
for kernel in 6.1 6.12; do
	headers[$kernel]=$("$here/headers.sh" $kernel) || {
		status=$?
		echo "${headers[$kernel]}"
		exit $status
	}
done
cd "$dir"
fetch download dkms || skip "no DKMS: $(tail -n 1 log)"
dpkg-deb -x ./*.deb .
mkdir tree source lib
version=$("$here/../../scripts/dkms.sh" "$module" source)
version=${version##*-}
dkms add
for kernel in 6.1 6.12; do
	release=$(basename "$(dirname "${headers[$kernel]}")"/lib/modules/*)
	dkms build -k "$release" -a x86_64 --kernelsourcedir "${headers[$kernel]}"
	file=$(find "tree/$module/$version/$release/x86_64/module" -name "$module.ko*")
	vermagic=$(PATH=$PATH:/sbin modinfo -F vermagic "$file")
	[[ $vermagic == "$release "* ]]
	echo "DKMS has built $module $version for Linux ${vermagic%% *}"
done
