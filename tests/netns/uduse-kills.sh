#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# uduse with kill -9 of either side, twenty times each, in the middle of what is verified. A daemon that comes back goes on
# where it was; a driver that comes back finds a device as new.
. "$(dirname "$0")/uduse-lib.sh"
truncate -s 64M "$dir/disk.img"
model=blk,file=$dir/disk.img,queues=2

for ring in '' --packed; do
	serve_uduse "$model"
	# shellcheck disable=SC2086 # a word or none
	drive --op randwrite --bs 4k --qd 32 --queues 2 --time 100 --verify --reconnect 20 $ring
	first=$runs
	for n in {1..20}; do
		sleep 0.$((RANDOM % 2))$((RANDOM % 10))
		restarts "$n" "$model" "uduse:path=$sock"
	done
	sleep 0.3
	kill -INT "$io" || true # it says why it has ended before
	is_over
	io_said "o['reconnects'] == 20 and o['errors'] == 0 and o['mismatches'] == 0 and o['checked'] > 1000"
	end
	# What was in flight went by the log: all but those whose processes were killed before their first report.
	resumed=0
	for ((n = first + 1; n <= runs; n++)); do
		for found in $(tail -n 1 "$dir/$n.json" | grep -o '"resumed":[0-9]*' | cut -d : -f 2); do
			((resumed += found)) || true
		done
	done
	((resumed > 20)) || fail "only $resumed requests were resumed"
done

# It would be noticed: what is on the disk changes while nobody serves it.
serve_uduse "$model"
drive --op randwrite --bs 4k --qd 32 --time 2 --verify --reconnect 20
sleep 0.5
kill_it
dd if=/dev/zero of="$dir/disk.img" bs=1M count=64 conv=notrunc 2>"$dir/dd.log"
serve_uduse "$model"
status=0
wait "$io" || status=$?
((status == 1)) || fail "sluice io ended with $status"
io_said "o['mismatches'] > 100"

# The driver's process, and now and then both.
for n in {1..20}; do
	((n % 2)) && ring= || ring=--packed
	# shellcheck disable=SC2086
	drive --op randwrite --bs 4k --qd 32 --queues 2 --time 100 --verify --reconnect 20 $ring
	sleep 0.$((RANDOM % 2))$((RANDOM % 10))
	kill -KILL "$io"
	if ((n % 5 == 0)); then
		kill_it
		serve_uduse "$model"
	fi
	{ wait "$io" || true; } 2>/dev/null
	alive || fail "sluice serve has ended, time $n"
done
(($(find "/proc/$link/fd" | wc -l) < 40)) || fail "descriptors are left open: $(find "/proc/$link/fd" | wc -l)"
drives --op write --verify --time 0 --queues 2
end
