#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk over vhost-user: sluice serve against qemu-storage-daemon, in turn; sluice io drives both.
# usage: bench/disk.sh [--quick]
#   FOLDER=/var/tmp   where the file lies that is not on tmpfs
set -eu
cd "$(dirname "$0")/.."
export SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
for tool in python3 qemu-storage-daemon taskset; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
[ "$(nproc)" -ge 2 ] || skip "two processors are needed: one for each side"
exec python3 -B bench/disk.py "$@"
