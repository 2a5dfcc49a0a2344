#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# gen -> null: what the link itself costs a packet, with ports that do next to nothing.
# usage: bench/gen.sh [--quick]
set -eu
cd "$(dirname "$0")/.."
SLUICE=${SLUICE:-$PWD/build/release/src/sluice}
export SLUICE
if [ ! -x "$SLUICE" ]; then
    echo "SKIP: $SLUICE is not built: make all"
    exit 77
fi
exec python3 -B bench/gen.py "$@"
