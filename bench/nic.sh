#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A NIC driven from user space against AF_PACKET and AF_XDP, in one boot of a guest.
# usage: bench/nic.sh [--quick] [--kernel 6.1|6.12] [--tried]
set -eu
cd "$(dirname "$0")/.."
SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
for tool in python3 ninja ethtool taskset ip; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done

build=build/release
ninja -C "$build" --quiet bench/af_packet bench/af_xdp >&2
exec python3 -B bench/nic.py "$SLUICE" "$build/bench/af_packet" "$build/bench/af_xdp" "$@"
