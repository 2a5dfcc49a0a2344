#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds a kernel with iommufd, which no Debian kernel has, from Debian's source: small, for QEMU. Nothing is installed.
# usage: kernel-iommufd.sh 6.12-iommufd|6.12-iommufd-cdev|6.12-iommufd-debug...
#
#	6.12-iommufd        groups and a file a device, as a distribution would have it
#	6.12-iommufd-cdev   no groups: /dev/vfio/devices alone
#	6.12-iommufd-debug  as the first, and looks for wrong locking and wrong accesses to its memory
#
# Each becomes a folder for kernel.sh. The source, 2 GB, is removed in the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=$(realpath -m "$here/../../build/vm")
[[ $(uname -m) == x86_64 ]] || { echo "guests are for x86-64" >&2 && exit 1; }

# What a kernel has besides iommufd.config, or instead.
options() { # NAME
	case $1 in
	6.12-iommufd) ;;
	6.12-iommufd-cdev) printf '%s\n' 'CONFIG_VFIO_GROUP=n' 'CONFIG_VFIO_CONTAINER=n' ;;
	6.12-iommufd-debug)
		# Optimised for size, what begins a PVH boot calls a memcmp() that KASAN cannot serve yet.
		printf 'CONFIG_%s\n' CC_OPTIMIZE_FOR_SIZE=n CC_OPTIMIZE_FOR_PERFORMANCE=y DEBUG_KERNEL=y PROVE_LOCKING=y \
			DEBUG_ATOMIC_SLEEP=y DEBUG_LIST=y KASAN=y KASAN_VMALLOC=y
		;;
	*)
		echo "usage: $0 6.12-iommufd|6.12-iommufd-cdev|6.12-iommufd-debug..." >&2
		return 2
		;;
	esac
}

# As root, apt would fetch as a user who cannot write here.
fetch() {
	timeout 900 apt-get download -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 linux-source-6.12
}

# A list of yesterday may name what is no longer there.
unpack() {
	echo "fetching and unpacking linux-source-6.12, 150 MB"
	fetch || { ((EUID == 0)) && apt-get update -qq && fetch; }
	dpkg-deb --fsys-tarfile ./*.deb | tar -xO ./usr/src/linux-source-6.12.tar.xz | tar -xJ --strip-components 1
	rm ./*.deb
}

# All that was asked for must be there: Kconfig drops in silence what depends on something else.
configure() { # NAME
	local wanted=../wanted lost
	options "$1" >../options
	cut -d = -f 1 ../options | grep -vwFf - "$here/iommufd.config" | cat - ../options >$wanted
	echo "CONFIG_LOCALVERSION=\"${1#6.12}\"" >>$wanted
	KCONFIG_ALLCONFIG=$wanted make -s allnoconfig
	lost=$(grep '^CONFIG_.*=[^n]' $wanted | grep -vxFf .config) || return 0
	echo "FAIL: Kconfig dropped $lost" >&2
	return 1
}

build() { # NAME
	local tree
	echo "building Linux $1"
	configure "$1"
	nice make -s -j "$(nproc)" vmlinux modules
	tree=$(realpath ../tree)
	rm -rf "$tree"
	make -s INSTALL_MOD_PATH="$tree" DEPMOD=true modules_install
	rm "$tree"/lib/modules/*/build
	cp vmlinux "$tree"
	mv "$tree" "$cache/linux-$1"
}

new=
for name; do
	options "$name" >/dev/null
	[[ -d $cache/linux-$name ]] || new+=" $name"
done
[[ -n $new ]] || exit 0
mkdir -p "$cache"
exec 9>"$cache/iommufd.lock"
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
