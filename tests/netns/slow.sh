#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A link that cannot keep up, here because it is stopped for a second: what the kernel loses meanwhile is
# counted, to the last datagram.
. "$(dirname "$0")/lib.sh"
namespaces a b
silence "$a" "$b"

udp_errors() { # what traffic.py was too slow to read
	in_ns "$b" nstat -asz UdpInErrors | awk '/UdpInErrors/ { print $2 }'
}

for spec in tun,1,1,on,adaptive tun,4,2,off,off tap,2,1,off,on; do
	IFS=, read -r kind workers queues offload poll <<<"$spec"
	start --workers "$workers" --poll "$poll" \
		"$kind:name=t0,netns=$a,queues=$queues,offload=$offload,addr=10.9.0.1/24" \
		"$kind:name=t0,netns=$b,queues=$queues,offload=$offload,addr=10.9.0.2/24"
	if [[ $spec == tun,1,* ]]; then # an interface is the same under another name
		ip -n "$a" link set dev t0 down
		ip -n "$a" link set dev t0 name t1 up
	fi
	traffic udp "$a" "$b" 10.9.0.2 --count 1 >/dev/null # now both know each other's addresses
	wait_for 'the first packets' reports 'there.packets > 0'
	first=$(value there.packets)
	[[ $kind == tun ]] || for ns in "$a" "$b"; do # and go on knowing
		ip -n "$ns" -4 neigh | while read -r to _ dev _ mac _; do
			ip -n "$ns" neigh replace "$to" dev "$dev" lladdr "$mac" nud permanent
		done
	done
	missed_before=$(udp_errors)
	traffic udp "$a" "$b" 10.9.0.2 --count 20000 --flows 4 --window 0 --rate 10000 --lossy >"$dir/udp" &
	pids+=($!)
	wait_for 'traffic' reports "there.packets > $first + 100"
	kill -STOP "$link"
	sleep 1
	kill -CONT "$link"
	wait "${pids[-1]}"
	stop
	cat "$dir/udp"
	# shellcheck disable=SC1091
	. "$dir/udp"
	missed=$(($(udp_errors) - missed_before))
	# shellcheck disable=SC2154
	holds "there.drops('source') > 0 and there.drops() == there.drops('source')"
	holds "there.packets - $first + there.drops() == $sent"
	((received + missed == sent - $(value 'there.drops()'))) || fail "received=$received missed=$missed"
	((duplicate == 0 && corrupt == 0))
done
