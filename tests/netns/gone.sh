#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Somebody deletes an interface under traffic: the link goes on, says so and counts. Somebody makes it
# again: the link attaches to it and carries on.
. "$(dirname "$0")/lib.sh"
namespaces a b
silence "$a" "$b"

# flood: from b to a, for as long as it takes, and whoever is there to receive it
flood() {
	traffic udp "$b" "$b" 10.9.0.1 --count 100000000 --size 200 --window 0 --rate 5000 --lossy >/dev/null &
	flood=$!
	pids+=("$flood")
}

stop_flood() {
	kill "$flood"
	wait "$flood" || true
}

neighbours() { # a tap: needs to know who is there; flooding goes on while nobody can answer
	[[ $kind == tun ]] ||
		ip -n "$b" neigh replace 10.9.0.1 dev t0 lladdr 02:00:00:00:00:0a
}

# The link may be there between any two of these, and does the same.
make_again() {
	ip -n "$a" tuntap add t0 mode "$kind" ${multi:+multi_queue}
	[[ $kind == tun ]] || ip -n "$a" link set dev t0 address 02:00:00:00:00:0a
	ip -n "$a" addr replace 10.9.0.1/24 dev t0
}

for spec in tap,1,1, tun,4,2,multi; do
	IFS=, read -r kind workers queues multi <<<"$spec"
	mac=
	[[ $kind == tun ]] || mac=,mac=02:00:00:00:00:0a
	start --workers "$workers" "$kind:name=t0,netns=$a,queues=$queues,addr=10.9.0.1/24$mac" \
		"$kind:name=t0,netns=$b,queues=$queues,addr=10.9.0.2/24"
	neighbours
	flood
	for round in 1 2 3; do
		before=$(value 'back.drops("peer-gone")')
		ip -n "$a" link del t0
		wait_for 'the loss to be seen' reports 'back.gone and not there.gone'
		wait_for 'drops to be counted' reports "back.drops('peer-gone') > $before + 100"
		if ((round == 2)); then # one of that name which is none of ours
			ip -n "$a" link add t0 type ifb
			sleep 1.2
			reports back.gone
			ip -n "$a" link del t0
		fi
		make_again
		wait_for 'it to be attached again' reports 'not back.gone'
		traffic udp "$b" "$a" 10.9.0.1 --count 500
		traffic udp "$a" "$b" 10.9.0.2 --count 500
		traffic tcp "$a" "$b" 10.9.0.2 --bytes 1000000
	done
	stop_flood

	# Both at once; then the first alone comes back.
	ip -n "$a" link del t0
	ip -n "$b" link del t0
	wait_for 'both to be gone' reports 'back.gone and there.gone'
	make_again
	wait_for 'one to be attached again' reports 'not back.gone and there.gone'
	stop INT
	holds 'there.drops("recalled", "malformed", "truncated") == 0'
	ip -n "$a" link del t0
done

# Nothing is lost uncounted: all that was sent arrived or has a reason.
start "tun:name=t0,netns=$a,addr=10.9.0.1/24" "tun:name=t0,netns=$b,addr=10.9.0.2/24"
traffic udp "$a" "$b" 10.9.0.2 --count 3000 --window 0 --rate 3000 --lossy >"$dir/udp" &
pids+=($!)
wait_for 'traffic' reports 'there.packets > 500'
ip -n "$b" link del t0
wait "${pids[-1]}"
# shellcheck disable=SC1091
. "$dir/udp" # sent=... received=...
stop
holds "there.packets == $received and there.packets + there.drops() == 3000"
# shellcheck disable=SC2154
((sent == 3000 && received > 500 && received < 3000))

# A whole namespace is removed.
namespaces c
start "tap:name=t0,netns=$a" "tap:name=t0,netns=$c"
ip netns del "$c"
stop
