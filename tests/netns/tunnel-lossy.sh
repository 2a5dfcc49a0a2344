#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A path that loses a third of the control packets; and one that corrupts, doubles and reorders everything.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities
silence "$a" "$b"
ip -n "$a" addr replace 192.0.2.1/24 dev w0
remote=
extra=(-v -v)
inside() {
	echo "tun:name=t0,netns=${!1},addr=10.9.0.$(number "$1")/24"
}

keys() { # END AT-LEAST
	(($(grep -c 'sealing with key' "${log_of[$1]}") >= $2))
}

# The relay is beside the client.
through() { # RENEG RELAY-OPTION...
	local reneg=$1
	shift
	relay "$b" 192.0.2.2:2000 192.0.2.1:1194 "$@"
	end a server "$reneg"
	end b client "remote=192.0.2.2:2000,$reneg"
	within 100 'a connection over a bad path' answers "$b" 10.9.0.1
}

# What is lost is sent again after 2, 4, 8 s and so on: that takes as long as it takes. Of the data nothing is
# lost, and a renegotiation is not to be noticed.
through reneg=3 --control-only --loss 0.3
traffic udp "$a" "$b" 10.9.0.2 --count 6000 --rate 1000
traffic tcp "$b" "$a" 10.9.0.1
of a
holds 'not there.lost() - there.drops("no-session") and not back.lost()'
of b
holds 'not there.lost() - there.drops("no-session") and not back.lost()'
within 100 'another key' keys a 2
within 60 'another key' keys b 2
within 60 'an answer' answers "$b" 10.9.0.1
kill_end b # the path may lose what it says at its end
of a
stop
relay_end 'there.dropped + back.dropped > 3'

# A corrupted control packet may end a session at one end only: the other is to notice soon.
through reneg=3,ping=1,ping-restart=8 --corrupt 0.05 --duplicate 0.05 --reorder 0.05
traffic tcp "$a" "$b" 10.9.0.2 --bytes 400000
traffic udp "$b" "$a" 10.9.0.1 --count 3000 --lossy --window 0 --rate 1000 >"$dir/udp"
. "$dir/udp" # sent=... received=...
# shellcheck disable=SC2154
((received > sent * 8 / 10 && corrupt == 0 && duplicate == 0)) || fail "$(cat "$dir/udp")"
within 60 'three more keys' keys a 4
within 60 'an answer' answers "$b" 10.9.0.1
kill_end b # the path would lose what it says at its end
of a
stop
holds 'back.drops("auth-failed") > 20 and back.drops("replayed") > 20'
holds 'back.drops("source", "no-buffer", "truncated", "refused", "too-short", "not-ip") == 0'
relay_end 'there.corrupted > 50 and back.corrupted > 5 and there.duplicated > 50 and there.reordered > 50'
