#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A link with nothing to do uses under 1 % of a CPU: 3 ticks of 10 ms in 3 s. They all run, and sleep, at once.
. "$(dirname "$0")/lib.sh"
namespaces a b c
silence "$a" "$b" "$c"

ticks() { # utime and stime: proc(5)
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

names=() links=()
idle() { # WHAT NS IF, an interface of it, and as for start
	names+=("$1")
	begin "$sluice" link --json "${@:4}"
	links+=("$link")
	wait_for "$3" is_up "$2" "$3"
}

n=0
for poll in off adaptive; do
	for workers in 1 4; do
		n=$((n + 1))
		idle "poll=$poll workers=$workers" "$b" r$n --poll $poll --workers $workers \
			"tap:name=l$n,netns=$a,queues=2,addr=10.9.$n.1/24" \
			"tap:name=r$n,netns=$b,queues=2,offload=off,addr=10.9.$n.2/24"
		in_ns "$a" ping -q -c 20 -i 0.005 -W 5 10.9.$n.2 >/dev/null # it has been busy before
	done
	idle "poll=$poll, an interface gone" "$b" "h$poll" --poll $poll "tun:name=g$poll,netns=$c" "tun:name=h$poll,netns=$b"
	ip -n "$c" link del "g$poll"
	idle "poll=$poll, an interface down" "$b" "e$poll" --poll $poll "tun:name=d$poll,netns=$c" "tun:name=e$poll,netns=$b"
	ip -n "$c" link set dev "d$poll" down
	idle "poll=$poll, a file written" "$c" "f$poll" --poll $poll "tun:name=f$poll,netns=$c" "pcap:write=$dir/x$poll"
	idle "poll=$poll, null" "$c" "n$poll" --poll $poll "tun:name=n$poll,netns=$c" null:
done
sleep 0.5 # what was just deleted is noticed

before=()
for link in "${links[@]}"; do
	before+=("$(ticks "$link")")
done
sleep 3
for i in "${!links[@]}"; do
	used=$(($(ticks "${links[i]}") - before[i]))
	echo "${names[i]}: $used ticks of 10 ms in 3 s"
	((used <= 3)) || bad=y
done
[[ -z ${bad-} ]] || fail 'not idle'
for link in "${links[@]}"; do
	kill -TERM "$link"
	ended
done
