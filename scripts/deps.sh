#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installs the Debian 12 packages that a make target needs. Says nothing when nothing is missing.
# For vm, bench and check also the kernels of tests/vm and what builds modules for them, which is not installed but unpacked
# below build/; for kernel what builds a kernel.
# usage: scripts/deps.sh [run|vm|test|check|kernel|bench]
set -eu

build='make gcc libc6-dev meson ninja-build pkg-config scdoc'
libraries='libpcap-dev libpci-dev libjson-c-dev libnl-3-dev libnl-route-3-dev libnl-genl-3-dev liburing-dev libssl-dev'
example='iproute2 iputils-ping iperf3 python3 openvpn tcpdump'
compilers='g++ clang libclang-rt-14-dev clang-format'
tests='libcmocka-dev dpdk-dev fio e2fsprogs qemu-system-common util-linux procps ethtool openssl sparse perl udev'
guests= kernel='flex bison bc libelf-dev'
peers='libdpdk-dev dpdk-dev valgrind wireguard-go wireguard-tools qemu-system-common fio'
# These are for one processor; without the first OpenSSL does its work.
if [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ]; then
    libraries="$libraries libipsec-mb-dev"
    guests='qemu-system-x86 busybox-static cpio kmod xz-utils zstd libelf1'
fi

case ${1:-run} in
run) wanted="$build $libraries $example" ;;
vm) wanted="$build $libraries $guests e2fsprogs iproute2 iputils-ping python3" ;;
test) wanted="$build $libraries $example $compilers $tests" ;; # no guests
check) wanted="$build $libraries $example $compilers $tests $guests" ;;
kernel) wanted="$build $libraries $example $compilers $tests $guests $kernel" ;;
bench) wanted="$build $libraries $example $peers $guests ethtool util-linux" ;;
*)
    echo "usage: $0 [run|vm|test|check|kernel|bench]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "No apt-get here. sluice is developed on Debian 12, where it needs these packages;" >&2
    echo "install their like, then call what needs no apt-get (make all, scripts/check.sh, bench/run.sh):" >&2
    echo "  $wanted" >&2
    exit 1
fi

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ] && [ "$(id -u)" != 0 ]; then
    echo "Packages are missing. Run this, then try again:" >&2
    echo "  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
if [ -n "$missing" ]; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -qq --no-install-recommends $missing
fi
# Without them everything but tests/vm works, and that says why it does not.
kernels=
case ${1:-run} in
vm | bench) kernels=6.12 ;;
check) kernels='6.1 6.12' ;;
esac
for kernel in ${guests:+$kernels}; do
    "$(dirname "$0")/../tests/vm/headers.sh" "$kernel" | grep SKIP || true
done
if [ "${1:-run}" = check ]; then
    "$(dirname "$0")/../tests/vm/checkpatch.sh" --version | grep SKIP || true
fi
