#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# uduse with kill -9 of either side, twenty times each, in the middle of what is verified. A daemon that comes back goes on
# where it was; a driver that comes back finds a device as new.
. "$(dirname "$0")/uduse-lib.sh"
truncate -s 64M "$dir/disk.img"
model=blk,file=$dir/disk.img,queues=2

killed_twenty_times "$model"
killed_twenty_times "$model" --packed
loss_is_noticed "$model"

# The driver's process, and now and then both.
for n in {1..20}; do
	((n % 2)) && ring=() || ring=(--packed)
	drive "${verified[@]}" --queues 2 --time 100 "${ring[@]}"
	sleep 0.$((RANDOM % 2))$((RANDOM % 10))
	kill -KILL "$io"
	if ((n % 5 == 0)); then
		kill_it
		serve "$model"
	fi
	{ wait "$io" || true; } 2>/dev/null
	alive || fail "sluice serve has ended, time $n"
done
few_descriptors
drives --op write --verify --time 0 --queues 2
end
