#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What everybody on the network may send to a tunnel: it lives on, says in its counters what came, and sends no
# more to a stranger than it got from him.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
. "$here/hostile-lib.sh"

for remote in '' y; do
	began=$SECONDS
	capture_wire "$dir/first.pcap"
	ends
	in_ns "$b" ping -q -c 20 -i 0.01 -s 100 10.9.0.1 >"$dir/ping.out"
	captured "$dir/first.pcap"

	pinging
	strangers=no-session
	[[ $remote ]] || strangers=- # answered, and forgotten
	watch_if "$b" w0 "$dir/attack.pcap" --immediate-mode -s 2048 "(host 192.0.2.66 and port 5000) or port 9"
	attack a $strangers $stranger client-resets
	captured "$dir/attack.pcap"
	eval "$("$python" -B "$here/wire.py" bytes "$dir/attack.pcap" 192.0.2.66 5000)"
	# The stranger has sent so much and received so much.
	# shellcheck disable=SC2154
	((sent_bytes == 7000 && received_bytes <= sent_bytes)) || fail "amplifies: $received_bytes for $sent_bytes"
	[[ -z $remote ]] || ((received_bytes == 0)) || fail 'answers one who cannot be the peer'
	[[ $remote ]] || ((received_bytes > 0)) || fail 'answers nobody'

	if [[ $remote ]]; then # nothing else is different
		attack a no-session $stranger acked-resets
		attack a no-session $stranger server-resets
		attack a malformed $stranger opcodes
		pinged
		still_the_first
		few_words
		stop_ends
		continue
	fi

	for from in $stranger $client; do
		attack a no-session "$from" acked-resets
		attack a no-session "$from" soft-resets
		attack a no-session "$from" server-resets
		attack a malformed "$from" opcodes
		attack a 'malformed|no-session' "$from" noise
		attack a too-short "$from" empty --count 200
	done
	attack a unknown-key $client keys
	attack a no-session $stranger keys
	attack a too-short $client cut "$dir/first.pcap"
	attack a no-session $stranger cut "$dir/first.pcap"
	attack a 'auth-failed|unknown-key' $client flipped "$dir/first.pcap"
	holds 'back.drops("unknown-key") > 500 and back.drops("auth-failed") > 500'
	attack a auth-failed $client reflect "$dir/first.pcap"
	attack a replayed $client replay "$dir/first.pcap" --opcode 9
	attack a no-session $stranger replay "$dir/first.pcap" --opcode 9
	for opcode in 4 5 7; do # of our own client, once more
		attack a - $stranger replay "$dir/first.pcap" --opcode $opcode
		((opcode == 7)) || attack a - $client replay "$dir/first.pcap" --opcode $opcode
	done

	attack b no-session $server client-resets
	attack b no-session $other_stranger server-resets
	attack b malformed $server opcodes
	attack b too-short $server empty --count 200
	attack b unknown-key $server keys
	attack b 'auth-failed|unknown-key' $server flipped "$dir/first.pcap"
	attack b auth-failed $server reflect "$dir/first.pcap"
	attack b replayed $server replay "$dir/first.pcap" --opcode 9
	for opcode in 4 5; do
		attack b - $server replay "$dir/first.pcap" --opcode $opcode
	done
	still_the_first

	# Resets in the name of the peer: it may have started again, which is looked into every two minutes at
	# most. Traffic does not suffer.
	attack a - $client client-resets
	attack a - $client replay "$dir/first.pcap" --opcode 7
	attack b - $server server-resets
	attack b - $server replay "$dir/first.pcap" --opcode 8
	pinged
	for end in a b; do
		(($(grep -c 'connected to' "${log_of[$end]}") <= 2 + (SECONDS - began) / 120)) || fail "forged resets make $end connect"
	done
	few_words

	# Sessions that are begun and go nowhere. The peer comes back all the same.
	pinging
	hostile "$b" half-open $stranger $server --count 300
	pinged
	kill_end b
	hostile "$b" half-open $stranger $server --count 50
	end b client
	connected "$b" 10.9.0.1

	stop_ends
	of a
	holds 'back.drops("not-ip", "truncated", "no-buffer", "refused") == 0'
done
