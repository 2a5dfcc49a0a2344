#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two sluices as the ends of a tunnel over a veth: ping and bulk arrive intact, and the tunnel's datagrams leave and come
# in trains (UDP_SEGMENT, UDP_GRO).
# guest: modules tun veth
# guest: programs ip ping nstat openvpn
# guest: python ../netns/traffic.py ../netns/report.py
# guest: files ../netns/lib.sh ../netns/tunnel-lib.sh ../netns/tunnel-ends.sh
# guest: seconds 180
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities

# datagrams NS In|Out: how often the kernel there has handed over a UDP datagram, or a train of them
datagrams() {
	local counter=Udp$2Datagrams
	((outer == 4)) || counter=Udp6$2Datagrams
	in_ns "$1" nstat -asz "$counter" | awk -v c="$counter" '$1 == c { print $2 }'
}

# UDP is not of the outside's IP version inside, so that the counters of that version are the tunnel's own.
for spec in 4,aes-256-gcm,10.9.0.2,fd09::2 6,chacha20-poly1305,fd09::2,10.9.0.2; do
	IFS=, read -r outer cipher for_tcp for_udp <<<"$spec"
	what="IPv$outer, $cipher"
	out=$(datagrams "$a" Out) in=$(datagrams "$b" In)
	ends "cipher=$cipher"
	ok "$what: connected"
	in_ns "$a" ping -q -c 3 -i 0.1 -W 5 10.9.0.2 >/dev/null
	in_ns "$b" ping -q -c 3 -i 0.1 -W 5 fd09::1 >/dev/null
	ok "$what: ping"
	traffic tcp "$a" "$b" "$for_tcp"
	traffic udp "$a" "$b" "$for_udp" --gso 1300 --ordered
	no_checksum_errors "$a" "$b"
	ok "$what: TCP and UDP"
	stop_ends
	of a
	sealed=$(value there.packets) out=$(($(datagrams "$a" Out) - out)) in=$(($(datagrams "$b" In) - in))
	echo "$sealed packets sealed, handed to the kernel in $out pieces, taken from it in $in"
	((out < sealed / 4 && in < sealed / 4)) || fail 'not in trains'
	ok "$what: in trains"
	for end in a b; do
		of $end
		holds 'not back.lost() and there.lost() == there.drops("no-session")'
	done
	ok "$what: nothing lost"
done
