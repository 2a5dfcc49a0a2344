#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Super-packets between ports that take them and ports that do not. Where one must be cut, `cut` counts
# it; where none need be, they cross whole; and what arrives is right either way.
. "$(dirname "$0")/lib.sh"
namespaces a b

# half DIRECTION FROM TO: what the reports must say of one direction
half() {
	if [[ $2,$3 == on,off ]]; then
		holds "$1.cut > 20"
	else
		holds "$1.cut == 0"
	fi
	if [[ $2,$3 == on,on ]]; then # fewer packets than there were datagrams alone
		holds "$1.packets < 2000"
	else
		holds "$1.packets > 8000"
	fi
	holds "not $1.lost()"
}

for kind in tap tun; do
	for offloads in 'on on' 'on off' 'off on' 'off off'; do
		read -r left right <<<"$offloads"
		start "$kind:name=t0,netns=$a,offload=$left,addr=10.9.0.1/24,addr=fd09::1/64" \
			"$kind:name=t0,netns=$b,offload=$right,addr=10.9.0.2/24,addr=fd09::2/64"
		for to in 10.9.0.2 fd09::2; do
			traffic tcp "$a" "$b" "$to"
			traffic udp "$a" "$b" "$to" --gso 1400 --count 3000 --ordered
		done
		for to in 10.9.0.1 fd09::1; do
			traffic udp "$b" "$a" "$to" --gso 1400 --count 3000 --ordered
			traffic udp "$b" "$a" "$to" --gso 333 --count 300 --ordered # no power of two, and not full
		done
		no_checksum_errors "$a" "$b"
		stop
		half there "$left" "$right"
		half back "$right" "$left"
	done
done

# The peer's own offloads changed while the link runs.
start "tap:name=t0,netns=$a,addr=10.9.0.1/24" "tap:name=t0,netns=$b,addr=10.9.0.2/24"
in_ns "$a" ethtool -K t0 tx off tso off >/dev/null 2>&1 || true
traffic tcp "$a" "$b" 10.9.0.2
in_ns "$a" ethtool -K t0 tx on tso on >/dev/null 2>&1 || true
traffic tcp "$a" "$b" 10.9.0.2
no_checksum_errors "$a" "$b"
stop
