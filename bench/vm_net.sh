#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Guest to guest, through sluice and through a kernel bridge, in turn. Each guest has two NICs:
#
#     sluice: NIC of guest A, vhost-user <-> sluice link <-> vhost-user, NIC of guest B
#     bridge: NIC of guest A, QEMU's, TAP <-> br0 in a namespace <-> TAP, NIC of guest B
#
# usage: bench/vm_net.sh [--quick]
set -eu
cd "$(dirname "$0")/.."
export SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
PATH=$PATH:/usr/sbin:/sbin
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
[ "$(id -u)" = 0 ] || skip "network namespaces with a bridge need root"
for tool in ip iperf3 ping python3 qemu-system-x86_64 busybox cpio; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
kernel=$(tests/vm/kernel.sh 6.12) || skip "${kernel#SKIP: }"
export KERNEL=$kernel
ACCEL=$(tests/vm/accel.sh "$kernel/vmlinux")
export ACCEL

ns=slbench-$$
helper=
finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP
    [ -z "$helper" ] || { kill "$helper" 2>/dev/null && wait "$helper" 2>/dev/null; } || true
    ip netns del "$ns" 2>/dev/null || true
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ip netns add "$ns"
ip -n "$ns" link add br0 type bridge 2>/dev/null || skip "this kernel has no bridge"
ip -n "$ns" link set br0 up
for filter in arptables iptables ip6tables; do
    ip netns exec "$ns" sh -c "echo 0 >/proc/sys/net/bridge/bridge-nf-call-$filter" 2>/dev/null || true
done
for tap in ta tb; do
    ip -n "$ns" tuntap add "$tap" mode tap vnet_hdr
    ip -n "$ns" link set "$tap" master br0 up
done

ip netns exec "$ns" python3 -B bench/vm_net.py "$@" &
helper=$!
wait "$helper"
helper=
