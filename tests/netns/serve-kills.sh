#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The server is killed twenty times in the middle of what is verified, and started again each time: no request fails, and
# nothing that was confirmed is lost. With split rings and with packed ones.
. "$(dirname "$0")/serve-lib.sh"
truncate -s 64M "$dir/disk.img"
model=blk,file=$dir/disk.img,queues=2

for ring in '' --packed; do
	serve "$model"
	# shellcheck disable=SC2086 # a word or none
	"$sluice" io "$sock" --json --op randwrite --bs 4k --qd 32 --queues 2 --time 100 --verify --reconnect 20 $ring \
		>"$dir/io.json" 2>"$dir/io.log" &
	io=$!
	pids+=($io)
	first=$runs
	driven
	for n in {1..20}; do
		sleep 0.$((RANDOM % 2))$((RANDOM % 10))
		restarts "$n" "$model"
	done
	sleep 0.3
	kill -INT "$io" || true # it says why it has ended before
	wait "$io" || fail "sluice io ended with $?: $(tail -n 3 "$dir/io.log")"
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
serve "$model"
"$sluice" io "$sock" --json --op randwrite --bs 4k --qd 32 --time 2 --verify --reconnect 20 >"$dir/io.json" 2>"$dir/io.log" &
io=$!
pids+=($io)
driven
sleep 0.5
kill_it
dd if=/dev/zero of="$dir/disk.img" bs=1M count=64 conv=notrunc 2>"$dir/dd.log"
serve "$model"
status=0
wait "$io" || status=$?
((status == 1)) || fail "sluice io ended with $status"
io_said "o['mismatches'] > 100"
end
