#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# An end whose address changes: with float=on the other follows, without it the rest is counted as no-session.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities

# moves END BY: its addresses end in so much more than usual
moves() {
	local n
	n=$(($(number "$1") + $2))
	ip -n "${!1}" addr flush dev w0
	ip -n "${!1}" addr add 192.0.2.$n/24 dev w0
	ip -n "${!1}" addr add 2001:db8::$n/64 dev w0 nodad
}

unanswered() { # NS ADDRESS
	! in_ns "$1" ping -q -c 20 -i 0.05 -W 0.2 "$2" >"$dir/ping.out" 2>&1
}

one_session() {
	local end
	for end in a b; do
		[[ $(grep -c 'connected to' "${log_of[$end]}") == 1 ]] || fail "$end has connected again"
	done
}

for spec in 'a,4,' a,6,y b,4,y; do # the end that follows
	IFS=, read -r follower outer remote <<<"$spec"
	mover=$(other "$follower")
	any=0.0.0.0:1194
	((outer == 4)) || any='[::]:1194'
	for float in on off; do
		more_a='' more_b=''
		printf -v "more_$follower" %s "float=$float"
		[[ $float == on ]] || printf -v "more_$follower" %s '' # what is the default
		printf -v "more_$mover" %s "local=$any"
		ends "$more_a" "$more_b"
		mine=10.9.0.$(number "$mover") theirs=10.9.0.$(number "$follower")
		in_ns "${!mover}" ping -q -c 3 -i 0.05 -W 5 "$theirs" >/dev/null
		moves "$mover" 7
		of "$follower"
		if [[ $float == on ]]; then
			# Whoever has moved must speak first.
			connected "${!mover}" "$theirs"
			connected "${!follower}" "$mine"
			traffic udp "${!mover}" "${!follower}" "$theirs" --count 500
			traffic tcp "${!follower}" "${!mover}" "$mine" --bytes 1000000
			one_session
			stop_ends
		else
			before=$(value 'back.drops("no-session")')
			unanswered "${!mover}" "$theirs" || fail 'it follows, and was not asked to'
			wait_for 'drops' reports "back.drops('no-session') >= $before + 20"
			one_session
			moves "$mover" 0 # and all is as it was
			connected "${!mover}" "$theirs"
			one_session
			stop_ends
		fi
		moves "$mover" 0
	done
done

# Another port: as behind a NAT that has forgotten.
outer=4 remote=
for float in on off; do
	relay "$b" 192.0.2.2:2000 192.0.2.1:1194
	ends "float=$float" remote=192.0.2.2:2000
	relay_end 'there.received > 4'
	relay "$b" 192.0.2.2:2000 192.0.2.1:1194
	if [[ $float == on ]]; then
		connected "$b" 10.9.0.1
		traffic tcp "$b" "$a" 10.9.0.1 --bytes 1000000
	else
		unanswered "$b" 10.9.0.1 || fail 'it follows, and was not asked to'
		of a
		wait_for 'drops' reports 'back.drops("no-session") >= 20'
	fi
	one_session
	kill_end a
	kill_end b
	relay_end
done
