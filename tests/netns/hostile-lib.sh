# SPDX-License-Identifier: BSD-2-Clause
# What tests share that attack a tunnel; source it after tunnel-ends.sh. It makes the namespaces and the wire:
# a stranger's address is beside b, and IPv4 all there is.
# shellcheck shell=bash
command -v tcpdump >/dev/null || skip "no tcpdump"
command -v ethtool >/dev/null || skip "no ethtool"
namespaces a b
silence "$a" "$b"
ip link add w0 netns "$a" type veth peer name w0 netns "$b"
ip -n "$a" addr add 192.0.2.1/24 dev w0
ip -n "$b" addr add 192.0.2.2/24 dev w0
ip -n "$b" addr add 192.0.2.66/24 dev w0 # a stranger's
for ns in "$a" "$b"; do
	ip -n "$ns" link set w0 up
	in_ns "$ns" ethtool -K w0 tx-udp-segmentation off >/dev/null # what is captured are datagrams, no trains
done
for at in a b; do # what is sent while the other is away goes onto the wire all the same
	mac=$(ip -n "${!at}" -o link show w0 | sed -E 's/.*link\/ether ([^ ]+).*/\1/')
	for host in $([[ $at == a ]] && echo 1 || echo 2 66); do
		peer=$(other $at)
		ip -n "${!peer}" neigh replace "192.0.2.$host" lladdr "$mac" dev w0 nud permanent
	done
done
identities

inside() {
	echo "tun:name=t0,netns=${!1},addr=10.9.0.$(number "$1")/24"
}

server=192.0.2.1:1194 client=192.0.2.2:1194 stranger=192.0.2.66:5000 other_stranger=192.0.2.67:5000

# hostile NS WHAT FROM TO [FILE] [OPTION...]: $sent of them
hostile() {
	local ns=$1
	shift
	sent=$(in_ns "$ns" "$python" -B "$here/hostile.py" "$@")
}

# counts END REASON...: an attack on END of $sent packets has been counted, all of it, under these reasons
counts() {
	local end=$1 reasons
	shift
	of "$end"
	reasons=$(printf '"%s",' "$@")
	wait_for "$sent drops for $reasons" reports "back.drops($reasons) - $before >= $sent"
}

# before END REASON...: note the counts as they are
before() {
	local end=$1
	shift
	of "$end"
	fresh
	before=$(value "back.drops($(printf '"%s",' "$@"))")
}

# attack END REASON FROM WHAT [FILE] [OPTION...]: as from FROM; it must be counted under REASON (a|b: either)
attack() {
	local end=$1 reasons=${2//|/ } from=$3 what=$4 ns to=$server
	shift 4
	[[ $end == a ]] || to=$client
	ns=$(other "$end")
	# shellcheck disable=SC2086
	before "$end" $reasons
	hostile "${!ns}" "$what" "$from" "$to" "$@"
	# shellcheck disable=SC2086
	[[ $reasons == - ]] || counts "$end" $reasons
}

pinging() { # from b through the tunnel, all the while
	ip netns exec "$b" ping -q -i 0.02 -W 5 10.9.0.1 >"$dir/steady" 2>&1 &
	pinger=$!
	pids+=("$pinger")
}

pinged() { # nothing was lost, but perhaps the last one that was on its way
	kill -INT "$pinger"
	wait_for 'the end of ping' gone "$pinger"
	local transmitted received
	read -r transmitted received <<<"$(sed -nE 's/^([0-9]+) packets transmitted, ([0-9]+) received.*/\1 \2/p' "$dir/steady")"
	((transmitted > 1 && received >= transmitted - 1)) || fail "the tunnel did not live on: $(cat "$dir/steady")"
}

still_the_first() {
	local end
	for end in a b; do
		[[ $(grep -c 'connected to' "${log_of[$end]}") == 1 ]] || fail "$end has connected again"
		! grep -q 'tunnel: lost' "${log_of[$end]}" || fail "$end has lost the other"
	done
}

few_words() { # outsiders do not fill the log: two lines a second at most
	local end
	for end in a b; do
		(($(wc -l <"${log_of[$end]}") < 10 + 2 * (SECONDS - began))) || fail "$end says too much: $(tail -n 30 "${log_of[$end]}")"
	done
}

capture_wire() { # FILE: what goes to either end
	watch_if "$b" w0 "$1" --immediate-mode -s 2048 udp and not port 9 or port 9
}

captured() { # FILE
	in_ns "$b" bash -c 'echo markermarker >/dev/udp/192.0.2.1/9'
	watch_end "$watcher" "$1"
}

