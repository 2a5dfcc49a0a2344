#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The encrypted tunnel against OpenVPN, wireguard-go and no tunnel at all, in turn.
#
#     namespace A: TUN <-> tunnel process <-> UDP, veth w0 <==> veth w0, UDP <-> tunnel process <-> TUN: namespace B
#
# usage: [NAME=VALUE]... bench/tunnel.sh [--quick] [WORD]...
#   WORD              only contestants whose name has it in it
#   QUICK=1           as --quick: one round, coarser and shorter; about 90 s
#   ROUNDS=5          of each measure
#   SECONDS_EACH=1    for a TCP trial, whole seconds; one of UDP takes half of it
#   SLUICE_OPTIONS=   more for `sluice link`, such as --workers 2
#   TXQUEUELEN=       of sluice's interfaces, packets; the tuned openvpn has 2000, the kernel's default is 500
#   CONGESTION=cubic  TCP's congestion control; - for the machine's own
set -eu
cd "$(dirname "$0")/.."
export SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
[ "$(id -u)" = 0 ] || skip "network namespaces with a tunnel need root"
for tool in ip iperf3 ping python3 ninja; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done

build=$(dirname "$(dirname "$SLUICE")")
ninja -C "$build" --quiet bench/udp >&2
export UDP=$build/bench/udp

a=slbench-a-$$ b=slbench-b-$$
work=$(mktemp -d /tmp/slbench.XXXXXX)
helper=
finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP
    [ -z "$helper" ] || { kill "$helper" 2>/dev/null && wait "$helper" 2>/dev/null; } || true
    for ns in "$a" "$b"; do
        ip netns pids "$ns" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "$ns" 2>/dev/null || true
    done
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ip netns add "$a"
ip netns add "$b"
ip link add w0 netns "$a" type veth peer name w0 netns "$b"
n=0
for ns in "$a" "$b"; do
    ip -n "$ns" link set lo up
    ip -n "$ns" link set w0 up
    ip -n "$ns" addr add 192.0.2.$((n += 1))/24 dev w0
done

# In the background and waited for: a signal then ends this script at once.
python3 -B bench/tunnel.py "$a" "$b" "$work" "$@" &
helper=$!
wait "$helper"
helper=
