#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# New keys every second, on the wish of either end and of both: traffic does not notice.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities

load() { # SECONDS of it, both ways
	traffic udp "$a" "$b" 10.9.0.2 --count $(($1 * 1000)) --rate 1000 >"$dir/udp-there" &
	local there=$!
	pids+=($!)
	traffic udp "$b" "$a" fd09::1 --count $(($1 * 1000)) --rate 1000 >"$dir/udp-back" &
	pids+=($!)
	local back=$!
	while kill -0 "$there" "$back" 2>/dev/null; do
		traffic tcp "$a" "$b" 10.9.0.2 --bytes 2000000 >"$dir/tcp"
		sleep 0.3
	done
	wait "$there" || fail "UDP there: $(cat "$dir/udp-there")"
	wait "$back" || fail "UDP back: $(cat "$dir/udp-back")"
}

keys_of() { # END: how many keys has it sealed with?
	grep -c 'sealing with key' "${log_of[$1]}"
}

for spec in 'reneg=1 reneg=0 3' 'reneg=0 reneg=1 3' 'reneg=1 reneg=1 6'; do
	read -r of_a of_b seconds <<<"$spec"
	extra=(-v -v)
	ends "$of_a" "$of_b"
	load "$seconds"
	# Seven key ids, then the second again.
	((seconds < 6)) || wait_for 'ids to start over' says_times a 'sealing with key 1$' 2
	connected "$b" 10.9.0.1
	stop_ends
	[[ $(grep -c 'connected to' "${log_of[a]}") == 1 && $(grep -c 'connected to' "${log_of[b]}") == 1 ]] ||
		fail "$spec: a new session, not a new key"
	(($(keys_of a) >= seconds * 2 / 3 && $(keys_of b) >= seconds * 2 / 3)) || fail "$spec: $(keys_of a) and $(keys_of b) keys"
	for end in a b; do
		of $end
		holds 'there.drops() == there.drops("no-session", "source") and back.drops() == 0'
		holds "there.bytes > $seconds * 1000000 and back.bytes > $seconds * 1000000"
	done
done
