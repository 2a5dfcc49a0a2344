#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk that is a process, for the kernel of a guest, over VDUSE: against qemu-storage-daemon and a loop device.
# usage: bench/vduse.sh [--quick]
set -eu
cd "$(dirname "$0")/.."
SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
PATH=$PATH:/usr/sbin:/sbin
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
for tool in python3 fio qemu-storage-daemon vdpa losetup qemu-system-x86_64; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
exec python3 -B bench/vduse.py "$SLUICE" "$@"
