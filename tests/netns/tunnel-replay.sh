#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a tunnel has sent itself, once more: later, too late, after its session, and from elsewhere.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
. "$here/hostile-lib.sh"

ends
capture_wire "$dir/first.pcap"
in_ns "$b" ping -q -c 20 -i 0.01 10.9.0.1 >"$dir/ping.out"
captured "$dir/first.pcap"
kill_end b
end b client
connected "$b" 10.9.0.1

# What was captured belongs to a session that is gone.
pinging
attack a auth-failed $client replay "$dir/first.pcap" --opcode 9
attack b auth-failed $server replay "$dir/first.pcap" --opcode 9
attack a - $client replay "$dir/first.pcap"
attack b - $server replay "$dir/first.pcap"
pinged
stop_ends

# Late packets: they count while the window reaches back to them, once.
# held FILE: 20 packets to a that do not arrive now
held() {
	capture_wire "$1"
	ip -n "$a" addr del 192.0.2.1/24 dev w0
	in_ns "$b" ping -q -c 20 -i 0.01 -W 0.1 10.9.0.1 >"$dir/ping.out" || true
	captured "$1"
	ip -n "$a" addr add 192.0.2.1/24 dev w0
}

ends
of a
held "$dir/late.pcap"
traffic udp "$b" "$a" 10.9.0.1 --count 1000
fresh
passed=$(value back.packets)
attack a - $client replay "$dir/late.pcap" --opcode 9
wait_for 'the late ones' reports "back.packets >= $passed + 20"
attack a replayed $client replay "$dir/late.pcap" --opcode 9
held "$dir/late.pcap"
traffic udp "$b" "$a" 10.9.0.1 --count 9000 --size 40
attack a replayed $client replay "$dir/late.pcap" --opcode 9
connected "$b" 10.9.0.1
still_the_first
stop_ends

# Who floats follows the peer, not who repeats it.
ends float=on ''
capture_wire "$dir/float.pcap"
in_ns "$b" ping -q -c 20 -i 0.01 10.9.0.1 >"$dir/ping.out"
captured "$dir/float.pcap"
pinging
attack a replayed $stranger replay "$dir/float.pcap" --opcode 9
attack a 'auth-failed|unknown-key' $stranger flipped "$dir/float.pcap"
pinged
# A late one counts, and moves nothing either: the next that end a sends still finds the peer.
held "$dir/late.pcap"
traffic udp "$b" "$a" 10.9.0.1 --count 100
of a
fresh
passed=$(value back.packets)
attack a - $stranger replay "$dir/late.pcap" --opcode 9
wait_for 'the late ones' reports "back.packets >= $passed + 20"
in_ns "$a" ping -q -c 1 -W 5 10.9.0.2 >"$dir/ping.out" || fail 'a late packet has moved the peer'
still_the_first
stop_ends
