#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The other end is a stock OpenVPN: both roles, both ciphers; either first, ended and killed.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities

# theirs ROLE [OPTION...]: the stock end, in b
theirs() {
	local role=$1 address=([4]=192.0.2. [6]=2001:db8::)
	shift
	stock "$b" "$role" --proto "udp$outer" --local "${address[outer]}2" --port 1194 "${roomy[@]}" \
		--remote "${address[outer]}1" 1194 --ifconfig 10.9.0.2 10.9.0.1 \
		--ifconfig-ipv6 fd09::2/64 fd09::1 --persist-tun --persist-key --mute-replay-warnings "$@"
}

opposite() {
	if [[ $1 == server ]]; then
		echo client
	else
		echo server
	fi
}

both_ways() {
	connected "$b" 10.9.0.1
	connected "$a" fd09::2
}

content() {
	traffic tcp "$a" "$b" 10.9.0.2
	traffic tcp "$b" "$a" fd09::1 --bytes 1000000
	traffic udp "$a" "$b" fd09::2 --ordered
	traffic udp "$b" "$a" 10.9.0.1 --ordered --size 100
}

# Nothing that a user would have to worry about. That nobody is there at first is none of it, nor is what is spelled by
# a session id (sid=bada4126).
no_complaints() {
	! grep -Ei 'warn|error|fail|inconsistent|bad|replay|deprecated|cannot' "$stock_log" |
		grep -Ev 'ECONNREFUSED|, sid=' || fail 'OpenVPN complains'
}

for spec in server,4,aes-256-gcm client,4,chacha20-poly1305 server,6,chacha20-poly1305 client,6,aes-256-gcm; do
	IFS=, read -r role outer cipher <<<"$spec"
	with_stock "$role" '' theirs "$(opposite "$role")" --data-ciphers "${cipher^^}" --explicit-exit-notify 1
	both_ways
	says a "connected to .*data channel ${cipher^^}"
	stock_says "Data Channel: cipher '${cipher^^}'"
	content
	no_checksum_errors "$a" "$b"
	no_complaints
	# Each says that it goes away, and the other understands it.
	stock_end
	says a 'lost .*: it says that it goes away'
	stop
	holds 'there.drops() == there.drops("no-session", "source") and back.drops() == back.drops("no-session", "source")'
	with_stock "$role" "cipher=$cipher" theirs "$(opposite "$role")" --data-ciphers "${cipher^^}" --explicit-exit-notify 1
	both_ways
	stop
	stock_says 'exit message received by peer|SIGUSR1\[soft,remote-exit\]'
	stock_end
done

# Either first; and either comes back, whether it said goodbye or not.
outer=4
for role in server client; do
	their=$(opposite "$role")
	end a "$role" ping=1,ping-restart=3
	sleep 0.5 # it has asked in vain
	theirs "$their" --ping 1 --ping-restart 3
	both_ways
	stock_end
	theirs "$their" --ping 1 --ping-restart 3
	both_ways
	disown "$stock" # or the shell would say so
	kill -KILL "$stock"
	wait_for 'the end of OpenVPN' gone "$stock"
	theirs "$their" --ping 1 --ping-restart 3
	both_ways
	stop
	end a "$role" ping=1,ping-restart=3
	both_ways
	kill_end a
	end a "$role" ping=1,ping-restart=3
	both_ways
	stop
	stock_end
done
