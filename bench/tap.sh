#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# TAP to TAP through sluice against two veth pairs in a kernel bridge, in turn.
#
#     sluice: TAP t0 in namespace A  <-> sluice link <->  TAP t0 in namespace B
#     bridge: veth v0 in namespace A <-> br0 in namespace C <-> veth v0 in namespace B
#
# usage: bench/tap.sh [--quick]
set -eu
cd "$(dirname "$0")/.."
export SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
[ "$(id -u)" = 0 ] || skip "network namespaces with a bridge need root"
for tool in ip iperf3 ping python3 ninja; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done

ninja -C build/release --quiet bench/udp >&2
export UDP=$PWD/build/release/bench/udp

a=slbench-a-$$ b=slbench-b-$$ c=slbench-c-$$
helper=
finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP
    [ -z "$helper" ] || { kill "$helper" 2>/dev/null && wait "$helper" 2>/dev/null; } || true
    for ns in "$a" "$b" "$c"; do
        ip netns pids "$ns" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "$ns" 2>/dev/null || true
    done
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for ns in "$a" "$b" "$c"; do
    ip netns add "$ns"
    ip -n "$ns" link set lo up
done
ip -n "$c" link add br0 type bridge 2>/dev/null || skip "this kernel has no bridge"
ip -n "$c" link set br0 up
# A bridge and nothing else: some kernels show every bridged packet to their packet filter.
for filter in arptables iptables ip6tables; do
    ip netns exec "$c" sh -c "echo 0 >/proc/sys/net/bridge/bridge-nf-call-$filter" 2>/dev/null || true
done
for port in pa:$a pb:$b; do
    ip -n "$c" link add name "${port%%:*}" type veth peer name v0 netns "${port#*:}"
    ip -n "$c" link set "${port%%:*}" master br0 up
    ip -n "${port#*:}" link set v0 up
done
ip -n "$a" addr add 10.79.1.1/24 dev v0
ip -n "$b" addr add 10.79.1.2/24 dev v0

# In the background and waited for: a signal then ends this script at once.
python3 -B bench/tap.py "$a" "$b" "$@" &
helper=$!
wait "$helper"
helper=
