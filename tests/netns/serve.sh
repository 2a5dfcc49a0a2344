#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Disks between two processes: what is written is read again, of a file, memory and a read-only file; nothing of null.
. "$(dirname "$0")/serve-lib.sh"
truncate -s 64M "$dir/disk.img"

for model in "blk,file=$dir/disk.img,queues=2" blk,mem=64M,queues=2; do
	for poll in off on; do
		serve "$model" --poll $poll
		for ring in '' --packed; do
			# shellcheck disable=SC2086 # a word or none
			io --op randwrite --bs 4k --qd 32 --time 0.5 --verify $ring
			# shellcheck disable=SC2086
			io --op write --bs 64k --qd 4 --time 0.3 --verify --queues 2 $ring
		done
		io --op randread --bs 512 --qd 8 --time 0.2 --poll
		end
		served "q[0]['requests'] > 100 and q[1]['requests'] > 0"
		# The driver's avail idx passes where it once was told to kick at, every 2^16 requests.
		served "q[0]['kicks'] > 0 if '$poll' != 'on' else q[0]['kicks'] < 10 + q[0]['requests'] / 1000"
		served "o['model']['write-bytes'] > 0"
	done
done

# A second process finds what the first has left.
serve "blk,file=$dir/disk.img"
io --op write --bs 64k --qd 8 --time 0.3 --verify
end
before=$(sha256sum "$dir/disk.img")
serve "blk,file=$dir/disk.img,ro=on"
io --op read --bs 64k --qd 8 --time 0.3
! timeout 20 "$sluice" io "$sock" --op write --time 0.2 2>"$dir/ro.log" >/dev/null
end
[[ $(sha256sum "$dir/disk.img") == "$before" ]] || fail 'a disk that is read only was written'

serve blk,null --poll on
io --op randread --bs 4k --qd 32 --time 0.5 --poll
io --op randwrite --bs 4k --qd 32 --time 0.5
end

# The file grows: who connects afterwards sees it, and who is connected is told (vm/vhost-user.sh).
serve "blk,file=$dir/disk.img"
truncate -s 128M "$dir/disk.img"
grown() {
	io --op read --time 0.1 && said "$dir/io.json" "o['device']['capacity'] == 128 << 20"
}
wait_for 'the new size' grown
end
