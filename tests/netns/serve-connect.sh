#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The front end listens and the back end connects: whoever comes first waits for the other, and a killed server comes back.
. "$(dirname "$0")/serve-lib.sh"
via+=,mode=connect

front_end() { # SECONDS
	begin_io --listen --op randwrite --bs 4k --qd 16 --time "$1" --verify --reconnect 20
}

io_ends() {
	is_over
	io_said "o['errors'] == 0 and o['mismatches'] == 0 and o['requests'] > 10"
}

serve blk,mem=16M # before there is anybody
wait_for 'it to say so' grep -q 'disk\.sock: cannot connect: No such file or directory; trying again$' "$log"
front_end 0.5
io_ends
front_end 0.5 # the next one
io_ends
(($(grep -c 'trying again' "$log") == 1)) || fail "it says more than once that it is alone: $(cat "$log")"
kill -TERM "$link"
ended

truncate -s 16M "$dir/disk.img"
front_end 100
serve "blk,file=$dir/disk.img" # after the front end
wait_for 'the driver' is_in running
for n in {1..5}; do
	sleep 0.2
	restarts "$n" "blk,file=$dir/disk.img"
done
kill -INT "$io"
io_ends
io_said "o['reconnects'] == 5"
kill -TERM "$link"
ended
