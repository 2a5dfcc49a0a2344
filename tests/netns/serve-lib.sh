# SPDX-License-Identifier: BSD-2-Clause
# What the tests of disks share: `sluice serve` in one process, `sluice io` in another. No rights are needed.
# shellcheck shell=bash disable=SC2034 # for lib.sh
unprivileged=1
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
sock=$dir/disk.sock

is_ready() {
	grep -q 'ready: ' "$log" || ! alive
}

# serve MODEL [OPTION...]: at $sock, in the background; returns when it serves
serve() {
	serve_via "$1" "vhost-user:path=$sock" "${@:2}"
}

serve_via() { # MODEL TRANSPORT [OPTION...]
	begin "$sluice" serve --json --stats 0.1 "$1" --via "${@:2}"
	wait_for 'sluice serve to be ready' is_ready
	alive || fail "sluice serve $* did not start: $(cat "$log")"
}

# io ARGUMENT...: sluice io on $sock; what it reports is in $dir/io.json
io() {
	timeout 100 "$sluice" io "$sock" --json "$@" >"$dir/io.json" 2>"$dir/io.log" ||
		fail "sluice io $* ended with $?: $(tail -n 3 "$dir/io.log")"
}

# said FILE EXPRESSION: of the last JSON object in a file, which is o
said() {
	"$python" -B - "$@" <<'END'
import json, sys
o = [json.loads(line) for line in open(sys.argv[1])][-1]
sys.exit(not eval(sys.argv[2], {'o': o, 'q': o.get('queues', [])}))
END
}

# served EXPRESSION: it must be true of the last report of sluice serve; q are its queues
served() {
	said "$report" "$1" || fail "not so: $1: $(tail -n 1 "$report")"
}

# io_said EXPRESSION: the same for sluice io
io_said() {
	said "$dir/io.json" "$1" || fail "not so: $1: $(tail -n 1 "$dir/io.json")"
}

# driven: by somebody, at last
driven() {
	wait_for 'the driver' grep -q '"state":"running"' "$report"
}

# kill_it: -9
kill_it() {
	kill -KILL "$link"
	wait "$link" 2>/dev/null || true
}

# restarts N MODEL [TRANSPORT]: kill it, start it again and wait until `sluice io` in $io has it again, for the Nth time
restarts() {
	kill_it
	serve_via "$2" "${3-vhost-user:path=$sock}"
	wait_for "the driver to find it again, time $1" has_reconnected "$1"
}

has_reconnected() {
	(($(grep -c 'connected again' "$dir/io.log" || true) >= $1)) || ! kill -0 "$io" 2>/dev/null
}

# end: SIGTERM; it must end in order, and leave no socket
end() {
	kill -TERM "$link"
	ended
	[[ ! -e $sock ]] || fail 'the socket is still there'
	served "o['final'] and all(x['in_flight'] == 0 and x['broken'] is None for x in q)"
}
