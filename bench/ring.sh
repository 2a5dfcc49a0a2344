#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Instructions a packet, there and back, both ends counted: what N more packets cost.
# usage: bench/ring.sh BUILD_DIR/bench/ring [PACKETS]
set -eu
program=$1
packets=${2:-320000}
if ! command -v valgrind >/dev/null; then
	echo "skipped: valgrind is not installed"
	exit 77
fi

instructions() {
	valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
		"$program" --count "$1" "$2" 2>&1 | awk '/I *refs/ { gsub(",", ""); print $NF }'
}

echo "| variant | instructions a packet |"
echo "|---|---|"
for name in sluice sluice-wake rte-pointers rte-facts; do
	once=$(instructions "$name" "$packets")
	twice=$(instructions "$name" $((2 * packets)))
	if [ -z "$once" ]; then
		echo "| $name | skipped: libdpdk-dev is not installed |"
		continue
	fi
	echo "$name $once $twice $packets" | awk '{ printf "| %s | %.1f |\n", $1, ($3 - $2) / $4 }'
done
