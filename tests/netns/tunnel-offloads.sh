#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The offloads of the devices below and above the tunnel turned off one by one, at one end, then at both: what it
# carries arrives intact all the same. (tunnel-refused.sh: offloads that the kernel refuses.)
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
command -v ethtool >/dev/null || skip "no ethtool"
namespaces a b
wire "$a" "$b"
identities

# Device, feature, to what. The veth's gro is off at first.
# shellcheck disable=SC2054 # the commas are meant
features=(
	w0,tx,off w0,rx,off w0,sg,off w0,tso,off w0,gso,off w0,tx-udp-segmentation,off w0,gro,on
	t0,tx,off t0,sg,off t0,tso,off t0,gso,off t0,tx-udp-segmentation,off t0,gro,off
)

carry() {
	traffic tcp "$a" "$b" 10.9.0.2 --bytes 16000000
	traffic udp "$a" "$b" fd09::2 --gso 1300 --ordered --count 2000
	traffic udp "$b" "$a" 10.9.0.1 --gso 777 --ordered --count 2000
}

ethtool_k() { # NS DEVICE FEATURE on|off
	in_ns "$1" ethtool -K "$2" "$3" "$4" >"$dir/ethtool.out" 2>&1
}

ends
carry
for row in "${features[@]}"; do
	IFS=, read -r device feature to <<<"$row"
	from=on
	[[ $to == off ]] || from=off
	echo "== $device $feature $to"
	if ! ethtool_k "$a" "$device" "$feature" "$to"; then
		echo "not here: $(cat "$dir/ethtool.out")"
		continue
	fi
	carry
	ethtool_k "$b" "$device" "$feature" "$to"
	carry
	ethtool_k "$a" "$device" "$feature" $from
	ethtool_k "$b" "$device" "$feature" $from
done
traffic tcp "$a" "$b" fd09::2 --bytes 16000000
no_checksum_errors "$a" "$b"
stop_ends
for end in a b; do
	of $end
	holds 'there.lost() == there.drops("no-session") and not back.lost() and there.cut > 1000'
done
