#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest on our disks, over QEMU's vhost-user-blk: one of split rings, one of packed ones and two queues. File system,
# fio, discard, resize, an end in order under load. And the example's entropy.
# guest: modules virtio_blk ext4 crc32c_generic virtio-rng
# guest: programs fio mkfs.ext4 e2fsck blkdiscard cmp sha256sum
# guest: files serve-lib.sh disk-lib.sh
# guest: host serve.py
# guest: memory 1024
# guest: seconds 240
# guest: qemu -object memory-backend-memfd,id=m,size=1024M,share=on -numa node,memdev=m
# guest: qemu -chardev socket,id=c0,path=$dir/split.sock,reconnect=1 -device vhost-user-blk-pci,chardev=c0,num-queues=1
# guest: qemu -chardev socket,id=c1,path=$dir/packed.sock,reconnect=1
# guest: qemu -device vhost-user-blk-pci,chardev=c1,num-queues=2,packed=on
# guest: qemu -chardev socket,id=c2,path=$dir/rng.sock -device vhost-user-rng-pci,chardev=c2
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/serve-lib.sh"
. "$(dirname "$0")/disk-lib.sh"

resized() { # NAME DISK
	local size=$((300 << 20))
	host resize "$1" "$size"
	wait_for 'the new size' size_is "$2" $((size / 512))
	dd if="$dir/data" of="/dev/$2" bs=1M count=1 seek=299 oflag=direct 2>/dev/null
	ok "$1: it grows while it is used"
}

size_is() {
	[[ $(cat "/sys/block/$1/size") == "$2" ]]
}

for name in split packed; do
	disk=$(disk_of "$name")
	if [[ $name == packed ]]; then
		has_packed_ring "$disk"
		[[ $(ls "/sys/block/$disk/mq" | wc -l) == 2 ]]
		ok 'packed: a packed ring, two queues'
	else
		! has_packed_ring "$disk"
	fi
	file_system "$name" "$disk"
	random_io "$name" "$disk"
	discarded "$name" "$disk"
	resized "$name" "$disk"
	random_io "$name" "$disk" &
	sleep 1
	restart term "$name"
	wait $!
	ok "$name: told to end under load, it leaves in order and comes back"
done

dd if=/dev/hwrng of="$dir/random" bs=64 count=32 2>/dev/null
[[ $(stat -c %s "$dir/random") == 2048 && $(gzip -c "$dir/random" | wc -c) -gt 2000 ]]
ok 'entropy from the example'
