#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Under a guest, the process that is its disk is killed twenty times in the middle of what fio verifies: no error, nothing lost.
# guest: modules virtio_blk
# guest: programs fio
# guest: files serve-lib.sh
# guest: host serve.py
# guest: memory 1024
# guest: seconds 300
# guest: qemu -object memory-backend-memfd,id=m,size=1024M,share=on -numa node,memdev=m
# guest: qemu -chardev socket,id=c0,path=$dir/split.sock,reconnect=1 -device vhost-user-blk-pci,chardev=c0,num-queues=1
# guest: qemu -chardev socket,id=c1,path=$dir/packed.sock,reconnect=1
# guest: qemu -device vhost-user-blk-pci,chardev=c1,num-queues=2,packed=on
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/serve-lib.sh"

load_it() { # DISK: until $dir/enough is there
	while [[ ! -e $dir/enough ]]; do
		fio --name=v --filename="/dev/$1" --direct=1 --ioengine=libaio --rw=randwrite --bsrange=4k-32k \
			--iodepth=16 --size=32M --numjobs=1 --verify=crc32c --verify_backlog=64 --eta=never --output="$dir/fio-$1"
		touch "$dir/rounds-$1"
	done
}

workers=()
for name in split packed; do
	load_it "$(disk_of "$name")" &
	workers+=($!)
done
for name in split packed; do
	disk=$(disk_of "$name")
	wait_for "fio on $disk" test -e "$dir/rounds-$disk"
done
for _ in {1..20}; do
	restart kill split
	restart kill packed
	sleep 0.$((RANDOM % 9 + 1))
done
ok 'twenty kills each'
touch "$dir/enough"
for worker in "${workers[@]}"; do
	wait "$worker"
done
! dmesg | grep -E 'I/O error|blk_update_request|Buffer I/O'
ok 'fio found all that it had written, and no request failed'
