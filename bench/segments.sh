#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Instructions a packet: what N more packets cost in the function that sends, or receives, without
# recvmmsg(), which stands for the kernel. Valgrind has neither AVX-512 nor VAES.
# usage: bench/segments.sh BUILD_DIR/bench/segments [PACKETS]
set -eu
program=$1
packets=${2:-2000}
if ! command -v valgrind >/dev/null; then
	echo "skipped: valgrind is not installed"
	exit 77
fi

# CIPHER BACK-END PATH BYTES N: how many packets there were, and their instructions
instructions() {
	case $3 in
	cut*) counted=--toggle-collect=sl_tunnel_tx ;;
	*) counted='--toggle-collect=sl_tunnel_rx --toggle-collect=recvmmsg' ;; # on, and off in it
	esac
	# shellcheck disable=SC2086 # options
	valgrind --tool=callgrind --callgrind-out-file=/dev/null $counted "$program" --once "$@" 2>&1 |
		awk '/^[0-9]+$/ { n = $1 } / Collected : / { print n, $NF }'
}

echo "| path | cipher | back end | bytes | instructions a packet, AVX2 |"
echo "|---|---|---|---|---|"
"$program" --list 2>/dev/null | while read -r cipher end path bytes; do
	once=$(instructions "$cipher" "$end" "$path" "$bytes" "$packets")
	twice=$(instructions "$cipher" "$end" "$path" "$bytes" $((2 * packets)))
	echo "$once $twice $path $cipher $end $bytes" |
		awk '{ printf "| %s | %s | %s | %s | %.0f |\n", $5, $6, $7, $8, ($4 - $2) / ($3 - $1) }'
done
