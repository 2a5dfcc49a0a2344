#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Instructions a packet of the driver of the 82574: what N more packets cost in its rx() and tx(), all that these call
# included, but not writing registers, which the device of the test stands in for.
# usage: bench/e1000e.sh BUILD_DIR/bench/e1000e [PACKETS]
set -eu
program=$1
packets=${2:-64000}
if ! command -v valgrind >/dev/null; then
	echo "skipped: valgrind is not installed"
	exit 77
fi

# PATH N: how many packets there were, and their instructions
instructions() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "--toggle-collect=sl_e1000e_${1%-*}" \
		--toggle-collect=__wrap_sl_guard_copy "$program" "$@" 2>&1 |
		awk '/^[0-9]+$/ { n = $1 } / Collected : / { print n, $NF }'
}

echo "| path | instructions a packet |"
echo "|---|---|"
for path in rx tx tx-copy; do
	once=$(instructions "$path" "$packets")
	twice=$(instructions "$path" $((2 * packets)))
	echo "$once $twice $path" | awk '{ printf "| %s | %.1f |\n", $5, ($4 - $2) / ($3 - $1) }'
done
