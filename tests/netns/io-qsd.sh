#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluice io drives somebody else's disk: qemu-storage-daemon's vhost-user-blk.
. "$(dirname "$0")/serve-lib.sh"
command -v qemu-storage-daemon >/dev/null || skip 'no qemu-storage-daemon (qemu-system-common)'
truncate -s 64M "$dir/disk.img"

is_there() {
	[[ -S $sock ]]
}

# other EXPORT-OPTIONS: its disk, at $sock
other() {
	begin qemu-storage-daemon --blockdev "driver=file,node-name=f0,filename=$dir/disk.img,aio=threads,discard=unmap" \
		--export "type=vhost-user-blk,id=e0,node-name=f0,addr.type=unix,addr.path=$sock,$1"
	wait_for 'the socket of qemu-storage-daemon' is_there
}

other writable=on,num-queues=2
for options in '' --poll --indirect '--queues 2' '--queues 2 --indirect --poll --bs 64k --qd 8' '--bs 1M --qd 4'; do
	# shellcheck disable=SC2086 # words
	io --op randwrite --verify --time 0.5 $options
	io_said "o['errors'] == 0 and o['mismatches'] == 0 and o['checked'] > 10"
done
io --op write --verify --time 0
io --op read --verify --time 0
io_said "o['checked'] == 16384"
io --op write-zeroes --verify --time 0 --offset 16M --size 16M
io --op discard --time 0 --bs 1M --offset 32M --size 1M
io --op flush --time 0 --size 1M
io --op read --verify --time 0 --size 16M
io_said "o['checked'] == 4096"

# What it does not have is said.
refused 1 'does not offer VIRTIO_F_RING_PACKED' "$sluice" io "$sock" --packed
refused 1 'has 2 queues: 3 are wanted' "$sluice" io "$sock" --queues 3

# It keeps no log of what is in flight: nobody can take over from it.
"$sluice" io "$sock" --op randwrite --time 100 --reconnect 20 >"$dir/io.json" 2>"$dir/io.log" &
io=$!
pids+=("$io")
sleep 0.3
kill_it
rm -f "$sock"
other writable=on,num-queues=2
status=0
wait "$io" || status=$?
((status == 1)) && grep -q 'nobody can take over' "$dir/io.log" || fail "ended with $status: $(cat "$dir/io.log")"
kill_it
rm -f "$sock"

other writable=off
refused 2 'the device is read only' "$sluice" io "$sock" --op randwrite
