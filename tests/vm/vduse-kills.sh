#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The process that is the kernel's disk is killed twenty times in the middle of what fio verifies, and started again: no
# error, nothing lost. Split and packed rings, two queues, memory of ours and the kernel's, by io_uring and without.
# guest: modules virtio_blk vduse virtio_vdpa loop
# guest: programs fio losetup
# guest: files vduse-lib.sh
# guest: memory 1024
# guest: seconds 500
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/vduse-lib.sh"
ulimit -l unlimited

load_it() { # DISK: until $dir/enough is there
	while [[ ! -e $dir/enough ]]; do
		fio --eta=never --name=v --filename="/dev/$1" --direct=1 --ioengine=libaio --rw=randwrite --bsrange=4k-32k \
			--iodepth=16 --size=16M --verify=crc32c --verify_backlog=64 --output="$dir/fio-$1" || return
		touch "$dir/rounds-$1"
	done
}

# kills WHAT MODEL TRANSPORT
kills() {
	local disk worker n
	serve d0 "$2" "attach=on${3:+,$3}"
	wait_for 'a disk' has_disk d0
	disk=$(disk_of d0)
	load_it "$disk" &
	worker=$!
	wait_for 'fio to begin' test -e "$dir/fio-$disk" -o -e "$dir/rounds-$disk"
	for n in {1..20}; do
		sleep 0.$((RANDOM % 6 + 1))
		kill -0 "$worker"
		killed d0
		serve d0 "$2" "attach=on${3:+,$3}"
		wait_for 'it to be taken over' taken_over d0 "$n"
	done
	touch "$dir/enough"
	wait "$worker"
	! dmesg | grep -E 'I/O error|blk_update_request|Buffer I/O'
	ok "$1: killed twenty times: fio found all that it had written, and no request failed"
	ended d0
	rm "$dir/enough" "$dir/d0.log"
}

file=/dev/shm/slt-disk
truncate -s 40M $file
losetup /dev/loop0 $file
kills 'split, in memory' "blk,file=$file"
kills 'split, io_uring, umem' 'blk,file=/dev/loop0' umem=on
kills 'packed, io_uring, two queues' 'blk,file=/dev/loop0,queues=2' packed=on
kills 'packed, in memory, umem' "blk,file=$file" packed=on,umem=on
losetup -d /dev/loop0
