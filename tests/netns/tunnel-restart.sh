#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Either end of a tunnel comes first, ends, dies and comes back; the other finds it again by itself.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities
outer=6

declare -A role=([a]=server [b]=client)

both_ways() {
	connected "$b" 10.9.0.1
	connected "$a" fd09::2
}

no_answer() {
	! in_ns "$b" ping -q -c 1 -W 0.2 10.9.0.1 >"$dir/ping.out" 2>&1
}

has_no_session() { # what an end is given then is counted
	of "$1"
	local before
	before=$(value 'there.drops("no-session")')
	in_ns "${!1}" ping -q -c 1 -W 0.1 "10.9.0.$((3 - $(number "$1")))" >"$dir/ping.out" 2>&1 || true
	wait_for 'a drop' reports "there.drops('no-session') > $before"
}

for spec in 'y ping=1' ' ping=1,ping-restart=3'; do
	remote=${spec%% *} more=${spec#* }
	# The late one starts when the other has already asked in vain.
	for first in a b; do
		second=$(other $first)
		end $first "${role[$first]}" "$more"
		has_no_session $first
		sleep 0.5
		end "$second" "${role[$second]}" "$more"
		both_ways

		# Ended: the other says so at once, and has no session.
		of $first
		stop
		says "$second" 'lost .*: it says that it goes away'
		has_no_session "$second"
		end $first "${role[$first]}" "$more"
		both_ways
		says "$second" 'connected to'
		wait_for 'another connection' says_times "$second" 'connected to' 2

		# Dead: it did not say anything.
		kill_end $first
		no_answer
		end $first "${role[$first]}" "$more"
		both_ways
		wait_for 'another connection' says_times "$second" 'connected to' 3
		stop_ends
		of "$second"
		holds 'back.drops("auth-failed", "malformed", "replayed", "too-short") == 0'
	done
done

# Nothing is heard of the peer: after ping-restart= seconds that is said, once.
remote=y
ends ping=1,ping-restart=3
kill_end b
says a 'lost .*: nothing was heard of it for ping-restart= seconds'
has_no_session a
end b client ping=1,ping-restart=3
both_ways
stop_ends

# An idle tunnel with pings is not lost: for twice as long as ping-restart=.
silence "$a" "$b"
outer=4
inside() {
	echo "tun:name=t0,netns=${!1},addr=10.9.0.$(number "$1")/24"
}
ends ping=1,ping-restart=3
sleep 6
in_ns "$b" ping -q -c 1 -W 5 10.9.0.1 >"$dir/ping.out"
stop_ends
[[ $(grep -c 'connected to' "${log_of[a]}") == 1 ]] || fail 'an idle tunnel was lost'
