#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The module uio_msix against uio_pci_generic, in one boot of a guest without an IOMMU, and against vfio in another that
# has one: packets, latencies and instructions of an interrupt.
# usage: bench/uio_msix.sh [--quick] [--kernel 6.1|6.12]
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
ninja -C "$build" --quiet bench/irq >&2
exec python3 -B bench/uio_msix.py "$SLUICE" "$build/bench/irq" "$@"
