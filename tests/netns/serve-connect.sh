#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The front end listens and the back end connects: whoever comes first waits for the other, and a killed server comes back.
. "$(dirname "$0")/serve-lib.sh"
via=vhost-user:path=$sock,mode=connect

front_end() { # SECONDS
	"$sluice" io "$sock" --listen --json --op randwrite --bs 4k --qd 16 --time "$1" --verify --reconnect 20 \
		>"$dir/io.json" 2>"$dir/io.log" &
	io=$!
	pids+=($io)
}

io_ends() {
	wait "$io" || fail "sluice io ended with $?: $(tail -n 3 "$dir/io.log")"
	io_said "o['errors'] == 0 and o['mismatches'] == 0 and o['requests'] > 10"
}

serve_via blk,mem=16M "$via" # before there is anybody
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
serve_via "blk,file=$dir/disk.img" "$via" # after the front end
driven
for n in {1..5}; do
	sleep 0.2
	restarts "$n" "blk,file=$dir/disk.img" "$via"
done
kill -INT "$io"
io_ends
io_said "o['reconnects'] == 5"
kill -TERM "$link"
ended
