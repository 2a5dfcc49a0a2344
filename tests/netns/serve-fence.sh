#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# One disk, two servers: the second waits until the first has let go, says so, and gives up in time; it can be told to end
# meanwhile. What a killed process has in flight: blk_fence.c.
. "$(dirname "$0")/serve-lib.sh"
truncate -s 1M "$dir/disk.img"
other=$dir/other.sock

wait_with() { # OPTION...: a second one, which must not be ready
	begin "$sluice" serve --stats 0 "blk,file=$dir/disk.img$1" --via "vhost-user:path=$other"
	wait_for 'its socket' test -S "$other"
	sleep 0.2
	alive && ! grep -q ready "$log" || fail 'it does not wait'
}

serve "blk,file=$dir/disk.img"
first=$link first_report=$report
wait_with ,fence=1
ended 1
grep -Eq "$dir/disk.img.*$first" "$log" || fail "it does not say who has it: $(cat "$log")"
[[ ! -e $other ]] || fail 'the socket is still there'

wait_with ''
kill -TERM "$link"
ended
[[ ! -e $other ]] || fail 'the socket is still there'

wait_with ,ro=on
second=$link second_log=$log
link=$first report=$first_report
end
link=$second log=$second_log
wait_for 'the second to be ready' is_ready
kill -TERM "$link"
ended
