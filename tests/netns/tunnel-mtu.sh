#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The interface gets the MTU that crosses the path in one piece. Who insists on more gets fragments outside, an
# answer where the packet may not be fragmented, and TCP is told in time.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
command -v tcpdump >/dev/null || skip "no tcpdump"
namespaces a b
wire "$a" "$b"
identities

mtu_is() {
	local has
	has=$(ip -n "$1" -o link show t0 | sed -E 's/.* mtu ([0-9]+) .*/\1/')
	[[ $has == "$2" ]] || fail "$kind over IPv$outer: MTU $has, not $2"
}

# echo_of LEN NS ADDRESS [OPTION...]: an IP packet of so many bytes; its answer is in ping.log
echo_of() {
	local len=$1 ns=$2 to=$3 headers=28
	shift 3
	[[ $to != *:* ]] || headers=48
	in_ns "$ns" ping -c 1 -W 2 -s $((len - headers)) "$@" "$to" >"$dir/ping.log" 2>&1
}

too_big() { # LEN NS ADDRESS OF-END: refused, with the MTU named, and counted
	of "$4"
	local before
	before=$(value 'there.drops("too-large")')
	! echo_of "$1" "$2" "$3" -M do || fail "$kind over IPv$outer: $1 bytes to $3 got through"
	grep -Eqi "(frag needed and DF set \(mtu = $crosses\)|Packet too big: mtu=$crosses)" "$dir/ping.log" ||
		fail "$kind over IPv$outer: not told: $(cat "$dir/ping.log")"
	wait_for 'the drop to be counted' reports "there.drops('too-large') > $before"
}

forget() { # what the kernel has learnt about the path
	local ns
	for ns in "$a" "$b"; do
		ip -n "$ns" -4 route flush cache
		ip -n "$ns" -6 route flush cache
	done
}

# mss IPV4 IPV6: that is what SYNs say, of both directions, where they arrive
mss() {
	local watchers=() end file
	for end in a b; do
		file=$dir/$end.pcap
		rm -f "$file"
		watch_if "${!end}" t0 "$file" --immediate-mode -s 2048 -Q in 'tcp or udp port 9'
		watchers+=("$watcher")
	done
	traffic tcp "$a" "$b" 10.9.0.2 --bytes 1000 >/dev/null
	traffic tcp "$b" "$a" fd09::1 --bytes 1000 >/dev/null
	in_ns "$a" bash -c "echo markermarker >/dev/udp/10.9.0.2/9"
	in_ns "$b" bash -c "echo markermarker >/dev/udp/10.9.0.1/9"
	watch_end "${watchers[0]}" "$dir/a.pcap"
	watch_end "${watchers[1]}" "$dir/b.pcap"
	for end in a b; do
		# A SYN of one family, the answer to one of the other.
		"$python" -B "$here/wire.py" syns "$dir/$end.pcap" >"$dir/syns"
		[[ $(cut -d' ' -f1,3 "$dir/syns" | sort) == "$(printf '%s\n' "4 $1" "6 $2")" ]] ||
			fail "$kind over IPv$outer, at $end: not MSS $1 and $2 but $(cat "$dir/syns")"
	done
}

for spec in tun,4,1448 tun,6,1428 tap,4,1434 tap,6,1414; do
	IFS=, read -r kind outer crosses <<<"$spec"

	mtu=
	watch_if "$a" w0 "$dir/wire.pcap" ip or ip6
	outside=$watcher
	ends
	mtu_is "$a" "$crosses"
	mtu_is "$b" "$crosses"
	connected "$b" fd09::1
	echo_of "$crosses" "$a" 10.9.0.2 -M do || fail "$spec: the largest packet"
	echo_of "$crosses" "$b" fd09::1 -M do || fail "$spec: the largest IPv6 packet"
	mss $((crosses - 40)) $((crosses - 60))
	stop_ends
	in_ns "$a" bash -c "echo markermarker >/dev/udp/192.0.2.2/9"
	watch_end "$outside" "$dir/wire.pcap"
	[[ $("$python" -B "$here/wire.py" fragments "$dir/wire.pcap") == 0 ]] || fail "$spec: fragments on the wire"

	mtu=1500
	watch_if "$a" w0 "$dir/wire.pcap" ip or ip6
	outside=$watcher
	ends
	mtu_is "$a" 1500
	connected "$b" fd09::1
	echo_of "$crosses" "$a" 10.9.0.2 -M do || fail "$spec: a packet that just fits"
	too_big 1500 "$a" 10.9.0.2 a
	too_big $((crosses + 1)) "$b" 10.9.0.1 b
	too_big 1500 "$b" fd09::1 b
	forget
	echo_of 1500 "$a" 10.9.0.2 -M dont || fail "$spec: a packet that may be fragmented"
	traffic udp "$a" "$b" 10.9.0.2 --count 50 --size 3000 >/dev/null
	forget
	mss $((crosses - 40)) $((crosses - 60))
	traffic tcp "$a" "$b" 10.9.0.2 --bytes 500000
	traffic tcp "$b" "$a" fd09::1 --bytes 500000
	stop_ends
	in_ns "$a" bash -c "echo markermarker >/dev/udp/192.0.2.2/9"
	watch_end "$outside" "$dir/wire.pcap"
	(($("$python" -B "$here/wire.py" fragments "$dir/wire.pcap") > 0)) || fail "$spec: no fragments on the wire"
	forget
done

# mss= at one end is enough; 0 leaves SYNs as they are. A larger one than they have changes nothing.
kind=tun outer=4 mtu=1500
for spec in 'mss=1000 mss=0 1000 1000' 'mss=0 mss=1000 1000 1000' 'mss=0 mss=0 1460 1440' \
	'mss=9000 mss=9000 1460 1440'; do
	read -r of_a of_b four six <<<"$spec"
	ends "$of_a" "$of_b"
	connected "$b" fd09::1
	mss "$four" "$six"
	stop_ends
	forget
done
