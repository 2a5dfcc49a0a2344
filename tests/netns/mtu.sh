#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The largest packet of an MTU crosses, a larger one only in fragments; at both ends of what mtu= allows,
# and with an MTU that was raised behind our back.
. "$(dirname "$0")/lib.sh"
namespaces a b

echo_of() { # bytes of an IP packet, ping's options
	local len=$1
	shift
	in_ns "$a" ping -c 3 -i 0.01 -W 3 -s "$len" "$@" >"$dir/ping.log" 2>&1
}

# edges MTU HEADERS ADDRESS: with an IP packet that fills the MTU, and one that is a byte larger
edges() {
	local mtu=$1 headers=$2 to=$3
	echo_of $((mtu - headers)) -M do "$to" || fail "mtu $mtu: its largest packet to $to"
	! echo_of $((mtu - headers + 1)) -M do -c 1 -W 0.1 "$to" || fail "mtu $mtu: a larger one to $to, not fragmented"
	grep -qi 'too long' "$dir/ping.log"
	echo_of $((mtu < 32000 ? 2 * mtu : 65507)) "$to" || fail "mtu $mtu: fragments to $to"
}

for offload in on off; do
	for spec in tap,68 tun,68 tap,576 tun,1500 tap,1500 tap,9000 tun,65521 tap,65521; do
		kind=${spec%,*} mtu=${spec#*,} six=
		((mtu < 1280)) || six=y
		start "$kind:name=t0,netns=$a,mtu=$mtu,offload=$offload,addr=10.9.0.1/24${six:+,addr=fd09::1/64}" \
			"$kind:name=t0,netns=$b,mtu=$mtu,offload=$offload,addr=10.9.0.2/24${six:+,addr=fd09::2/64}"
		edges "$mtu" 28 10.9.0.2
		[[ -z $six ]] || edges "$mtu" 48 fd09::2
		traffic udp "$a" "$b" 10.9.0.2 --count 100 --size $((mtu - 28)) --ordered
		traffic udp "$b" "$a" 10.9.0.1 --count 100 --size $((mtu < 32000 ? 2 * mtu : 65507)) --ordered
		((mtu < 576)) || traffic tcp "$a" "$b" 10.9.0.2 --bytes 1000000
		no_checksum_errors "$a" "$b"
		stop
		holds 'not there.lost() and not back.lost()'
	done
done

# Somebody raises the MTU of a running link: what no longer fits into its buffers is counted.
silence "$a" "$b"
start "tun:name=t0,netns=$a,offload=off,addr=10.9.0.1/24" "tun:name=t0,netns=$b,offload=off,addr=10.9.0.2/24"
ip -n "$a" link set t0 mtu 9000
traffic udp "$a" "$b" 10.9.0.2 --count 100 --size 5000 --window 0 --rate 2000 --lossy
traffic udp "$a" "$b" 10.9.0.2 --count 100
stop
holds 'there.drops("truncated") == 100 and there.drops() == 100'
