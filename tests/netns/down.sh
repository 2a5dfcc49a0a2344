#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# An interface is set down: what is meant for it is counted as `down`, exactly, the other direction is not
# held up, and all is well when it is up again.
. "$(dirname "$0")/lib.sh"
namespaces a b
silence "$a" "$b"

know() { # the neighbour is forgotten whenever an interface goes down
	[[ $kind == tap ]] || return 0
	ip -n "$a" neigh replace 10.9.0.2 dev t0 lladdr 02:00:00:00:00:0b nud permanent
	ip -n "$b" neigh replace 10.9.0.1 dev t0 lladdr 02:00:00:00:00:0a nud permanent
}

for spec in tap,on,on,1,adaptive tap,on,off,2,off tun,off,on,4,off tun,on,off,1,on; do
	IFS=, read -r kind left right workers poll <<<"$spec"
	mac_a="" mac_b=""
	[[ $kind == tun ]] || mac_a=,mac=02:00:00:00:00:0a mac_b=,mac=02:00:00:00:00:0b
	start --workers "$workers" --poll "$poll" \
		"$kind:name=t0,netns=$a,offload=$left,addr=10.9.0.1/24$mac_a" \
		"$kind:name=t0,netns=$b,offload=$right,addr=10.9.0.2/24$mac_b"
	know
	for round in 1 2; do
		traffic udp "$a" "$b" 10.9.0.2 --count 200
		ip -n "$b" link set dev t0 down
		traffic udp "$a" "$b" 10.9.0.2 --count 300 --window 0 --rate 3000 --lossy | grep received=0
		wait_for 'what is down to be counted' reports "there.drops('down') == $round * 300"
		holds "there.drops() == $round * 300 and not there.gone"
		ip -n "$b" link set dev t0 up
		know
		traffic udp "$a" "$b" 10.9.0.2 --count 200
		traffic udp "$b" "$a" 10.9.0.1 --count 200
		# The giver's own interface, down and up.
		ip -n "$a" link set dev t0 down
		ip -n "$a" link set dev t0 up
		know
		traffic udp "$b" "$a" 10.9.0.1 --count 200
	done
	stop
	holds 'there.packets == 800 and back.packets == 800 and back.drops() == 0'
done
