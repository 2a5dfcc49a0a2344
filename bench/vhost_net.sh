#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A NIC over vhost-user: sluice against DPDK's net_vhost, in turn; DPDK's virtio-user drives both.
# usage: bench/vhost_net.sh [--quick] [--no-huge]
set -eu
cd "$(dirname "$0")/.."
export SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
for tool in python3 dpdk-testpmd taskset; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
pkg-config --exists libdpdk || skip 'libdpdk-dev is not installed'
[ "$(nproc)" -ge 2 ] || skip "two processors are needed: one for each side"
ninja -C build/release --quiet bench/vhost_net bench/distance >&2
exec python3 -B bench/vhost_net.py build/release/bench/vhost_net "$@"
