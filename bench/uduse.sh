#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk over uduse against the same over vhost-user, in turn: sluice serve, driven by sluice io.
# usage: bench/uduse.sh [--quick]
set -eu
cd "$(dirname "$0")/.."
export SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
skip() {
    echo "SKIP: $*"
    exit 77
}
[ -x "$SLUICE" ] || skip "$SLUICE is not built: make all"
for tool in python3 taskset; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
[ "$(nproc)" -ge 2 ] || skip "two processors are needed: one for each side"
exec python3 -B bench/uduse.py "$@"
