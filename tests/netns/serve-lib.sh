# SPDX-License-Identifier: BSD-2-Clause
# What the tests of disks share: `sluice serve` in one process, `sluice io` in another, over vhost-user; uduse-lib.sh: over uduse.
# No rights are needed.
# shellcheck shell=bash disable=SC2034 # for lib.sh
unprivileged=1
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
sock=$dir/disk.sock
via=vhost-user:path=$sock # for sluice serve
at=$sock                  # for sluice io

is_ready() {
	grep -q 'ready: ' "$log" || ! alive
}

# serve MODEL [OPTION...]: $via, in the background; returns when it serves
serve() {
	begin "$sluice" serve --json --stats 0.1 "$1" --via "$via" "${@:2}"
	wait_for 'sluice serve to be ready' is_ready
	alive || fail "sluice serve $* did not start: $(cat "$log")"
}

# io ARGUMENT...: sluice io on $at; what it reports is in $dir/io.json
io() {
	timeout 100 "$sluice" io "$at" --json "$@" >"$dir/io.json" 2>"$dir/io.log" ||
		fail "sluice io $* ended with $?: $(tail -n 3 "$dir/io.log")"
}

# begin_io ARGUMENT...: in the background, pid in $io
begin_io() {
	"$sluice" io "$at" --json "$@" >"$dir/io.json" 2>"$dir/io.log" &
	io=$!
	pids+=("$io")
}

# drive ARGUMENT...: the same; returns when it drives
drive() {
	wait_for 'nobody to drive it' is_in waiting
	begin_io "$@"
	wait_for 'the driver' is_in running
}

# is_over: $io has ended, well
is_over() {
	wait "$io" || fail "sluice io ended with $?: $(tail -n 3 "$dir/io.log")"
}

# is_in STATE: sluice serve, by its last report
is_in() {
	tail -n 1 "$report" | grep -q "\"state\":\"$1\""
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

# few_descriptors [PID]: none is left open
few_descriptors() {
	local n
	n=$(find "/proc/${1-$link}/fd" | wc -l)
	((n < 40)) || fail "descriptors are left open: $n"
}

# kill_it: -9
kill_it() {
	kill -KILL "$link"
	wait "$link" 2>/dev/null || true
}

# restarts N MODEL: kill it, start it again and wait until `sluice io` in $io has it again, for the Nth time
restarts() {
	kill_it
	serve "$2"
	wait_for "the driver to find it again, time $1" has_reconnected "$1"
}

has_reconnected() {
	(($(grep -c 'connected again' "$dir/io.log" || true) >= $1)) || ! kill -0 "$io" 2>/dev/null
}

verified=(--op randwrite --bs 4k --qd 32 --verify --reconnect 20)

# killed_twenty_times MODEL [OPTION]: in the middle of what is verified, and started again each time: no request fails, and
# nothing that was confirmed is lost
killed_twenty_times() {
	local model=$1 first n found resumed=0
	serve "$model"
	drive "${verified[@]}" --queues 2 --time 100 "${@:2}"
	first=$runs
	for n in {1..20}; do
		sleep 0.$((RANDOM % 2))$((RANDOM % 10))
		restarts "$n" "$model"
	done
	sleep 0.3
	kill -INT "$io" || true # it says why it has ended before
	is_over
	io_said "o['reconnects'] == 20 and o['errors'] == 0 and o['mismatches'] == 0 and o['checked'] > 1000"
	end
	# What was in flight went by the log: all but those whose processes were killed before their first report.
	for ((n = first + 1; n <= runs; n++)); do
		for found in $(tail -n 1 "$dir/$n.json" | grep -o '"resumed":[0-9]*' | cut -d : -f 2); do
			((resumed += found)) || true
		done
	done
	((resumed > 20)) || fail "only $resumed requests were resumed"
}

# loss_is_noticed MODEL: what is on the disk, $dir/disk.img, changes while nobody serves it
loss_is_noticed() {
	local status=0
	serve "$1"
	drive "${verified[@]}" --time 2
	sleep 0.5
	kill_it
	dd if=/dev/zero of="$dir/disk.img" bs=1M count=64 conv=notrunc 2>"$dir/dd.log"
	serve "$1"
	wait "$io" || status=$?
	((status == 1)) || fail "sluice io ended with $status"
	io_said "o['mismatches'] > 100"
}

# end: SIGTERM; it must end in order, and leave no socket
end() {
	kill -TERM "$link"
	ended
	[[ ! -e $sock ]] || fail 'the socket is still there'
	served "o['final'] and all(x['in_flight'] == 0 and x['broken'] is None for x in q)"
}
