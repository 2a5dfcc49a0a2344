#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ping, TCP and UDP, IPv4 and IPv6, both directions, through tap: and tun:.
. "$(dirname "$0")/lib.sh"
namespaces a b

for kind in tap tun; do
	start "$kind:name=t0,netns=$a,addr=10.9.0.1/24,addr=fd09::1/64" \
		"$kind:name=t0,netns=$b,addr=10.9.0.2/24,addr=fd09::2/64"
	for addresses in '10.9.0.1 10.9.0.2' 'fd09::1 fd09::2'; do
		read -r left right <<<"$addresses"
		in_ns "$a" ping -q -c 5 -i 0.02 -W 5 "$right" >/dev/null
		in_ns "$b" ping -q -c 5 -i 0.02 -W 5 "$left" >/dev/null
		traffic tcp "$a" "$b" "$right"
		traffic tcp "$b" "$a" "$left"
		traffic udp "$a" "$b" "$right" --ordered
		traffic udp "$b" "$a" "$left" --ordered
	done
	no_checksum_errors "$a" "$b"
	stop
	holds 'not there.lost() and not back.lost()'
	holds 'there.packets > 2000 and back.packets > 2000 and there.bytes > 8000000'
done
