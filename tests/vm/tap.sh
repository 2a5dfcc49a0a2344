#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two interfaces in two namespaces, joined: ping, TCP and UDP arrive intact, with all offloads that the kernel has. 6.1
# has no USO, so sluice must do without and say so.
# guest: modules tun
# guest: programs ip ping nstat
# guest: python ../netns/traffic.py ../netns/report.py
# guest: files ../netns/lib.sh
# guest: seconds 180
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
namespaces a b

for kind in tap tun; do
	start -v "$kind:name=t0,netns=$a,addr=10.9.0.1/24,addr=fd09::1/64" \
		"$kind:name=t0,netns=$b,addr=10.9.0.2/24,addr=fd09::2/64"
	if [[ $GUEST_KERNEL == 6.1 ]]; then
		grep 't0: offloads: checksum and TSO; the kernel refuses more: Invalid argument' "$log"
		ok "$kind: no USO here, and it says so"
	else
		! grep 'the kernel refuses more' "$log" || fail 'not all of them'
		ok "$kind: the kernel has all the offloads"
	fi
	in_ns "$a" ping -q -c 3 -i 0.1 -W 5 10.9.0.2 >/dev/null
	in_ns "$b" ping -q -c 3 -i 0.1 -W 5 fd09::1 >/dev/null
	ok "$kind: ping"
	traffic tcp "$a" "$b" 10.9.0.2
	traffic tcp "$b" "$a" fd09::1 --bytes 1000000
	ok "$kind: TCP"
	traffic udp "$a" "$b" fd09::2 --gso 1400 --count 2000 --ordered
	traffic udp "$b" "$a" 10.9.0.1 --gso 333 --count 2000 --ordered
	ok "$kind: UDP that the sender's kernel is to cut"
	no_checksum_errors "$a" "$b"
	stop
	holds 'not there.lost() and not back.lost() and there.cut == 0 and back.cut == 0'
	ok "$kind: nothing lost, nothing cut, no wrong checksum"
done
