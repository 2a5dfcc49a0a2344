#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds kernels that Debian has not, from its source: small, for QEMU. Nothing is installed.
# usage: kernel-build.sh 6.12-iommufd|6.12-iommufd-cdev|6.12-kasan...
#
#	6.12-iommufd        groups and a file a device, as a distribution would have it
#	6.12-iommufd-cdev   no groups: /dev/vfio/devices alone
#	6.12-kasan          as the first, and watches itself: kasan.config
#
# Each becomes a folder for kernel.sh, with what building modules for it takes. The source, 2 GB, is removed in the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$(realpath -m "$here/../../build/vm")
. "$here/apt.sh"
[[ $(uname -m) == x86_64 ]] || { echo "guests are for x86-64" >&2 && exit 1; }

# What a kernel has besides kernel.config, or instead.
options() { # NAME
	case $1 in
	6.12-iommufd) ;;
	6.12-iommufd-cdev) printf '%s\n' 'CONFIG_VFIO_GROUP=n' 'CONFIG_VFIO_CONTAINER=n' ;;
	6.12-kasan) grep ^CONFIG "$here/kasan.config" ;;
	*)
		echo "usage: $0 6.12-iommufd|6.12-iommufd-cdev|6.12-kasan..." >&2
		return 2
		;;
	esac
}

unpack() {
	echo "fetching and unpacking linux-source-6.12, 150 MB"
	fetch download linux-source-6.12 || { cat log >&2 && return 1; }
	dpkg-deb --fsys-tarfile ./*.deb | tar -xO ./usr/src/linux-source-6.12.tar.xz | tar -xJ --strip-components 1
	rm ./*.deb log
}

# All that was asked for must be there: Kconfig drops in silence what depends on something else.
configure() { # NAME
	local wanted=../wanted lost
	options "$1" >../options
	cut -d = -f 1 ../options | grep -vwFf - "$here/kernel.config" | cat - ../options >$wanted
	echo "CONFIG_LOCALVERSION=\"${1#6.12}\"" >>$wanted
	KCONFIG_ALLCONFIG=$wanted make -s allnoconfig
	lost=$(grep '^CONFIG_.*=[^n]' $wanted | grep -vxFf .config) || return 0
	echo "FAIL: Kconfig dropped $lost" >&2
	return 1
}

build() { # NAME
	local tree start=$SECONDS
	echo "building Linux $1"
	configure "$1"
	nice make -s -j "$(nproc)" vmlinux modules
	tree=$(realpath ../tree)
	rm -rf "$tree"
	make -s INSTALL_MOD_PATH="$tree" DEPMOD=true modules_install
	rm "$tree"/lib/modules/*/build
	make -s run-command KBUILD_RUN_COMMAND="\$(srctree)/scripts/package/install-extmod-build $tree/headers"
	cp vmlinux "$tree"
	mv "$tree" "$cache/linux-$1"
	echo "built Linux $1 in $((SECONDS - start)) s"
}

new=
for name; do
	options "$name" >/dev/null
	[[ -d $cache/linux-$name ]] || new+=" $name"
done
[[ -n $new ]] || exit 0
mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock 9
dir=$(mktemp -d "$cache/new-XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/source"
cd "$dir/source"
export ARCH=x86_64
unpack
for name in $new; do
	[[ -d $cache/linux-$name ]] || build "$name"
done
