#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest on our disks, over QEMU's vhost-user-blk: one of split rings, one of packed ones and two queues. File system,
# fio, discard, resize, an end in order under load. And the example's entropy.
# guest: modules virtio_blk ext4 crc32c_generic virtio-rng
# guest: programs fio mkfs.ext4 e2fsck blkdiscard cmp
# guest: files serve-lib.sh
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

has_packed_ring() { # DISK: feature 34 was negotiated
	[[ $(cut -c 35 "/sys/block/$1/device/features") == 1 ]]
}

file_system() { # NAME DISK
	local disk=/dev/$2 mnt=$dir/mnt
	mkdir -p "$mnt"
	mkfs.ext4 -q "$disk"
	mount "$disk" "$mnt"
	dd if=/dev/urandom of="$dir/data" bs=1M count=24 2>/dev/null
	cp "$dir/data" "$mnt/data"
	for n in {1..200}; do
		echo "$n" >"$mnt/$n"
	done
	umount "$mnt"
	echo 3 >/proc/sys/vm/drop_caches
	mount "$disk" "$mnt"
	cmp "$dir/data" "$mnt/data"
	[[ $(cat "$mnt/200") == 200 ]]
	umount "$mnt"
	e2fsck -fn "$disk" >/dev/null 2>&1
	ok "$1: mkfs, mount, write, read back, fsck"
}

random_io() { # NAME DISK
	fio --name=v --filename="/dev/$2" --direct=1 --ioengine=libaio --rw=randrw --bsrange=512-64k --iodepth=16 \
		--size=16M --verify=crc32c --eta=never --output="$dir/fio"
	ok "$1: fio verifies what it has written"
}

discarded() { # NAME DISK
	dd if="$dir/data" of="/dev/$2" bs=1M count=8 oflag=direct 2>/dev/null
	blkdiscard --zeroout --offset 1M --length 2M "/dev/$2"
	dd if="/dev/$2" bs=1M skip=1 count=2 iflag=direct 2>/dev/null | cmp -n 2097152 - /dev/zero
	blkdiscard --offset 4M --length 2M "/dev/$2"
	dd if="/dev/$2" bs=1M skip=3 count=1 iflag=direct 2>/dev/null | cmp - <(dd if="$dir/data" bs=1M skip=3 count=1 2>/dev/null)
	ok "$1: zeroes and discards hit what they name, and nothing else"
}

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
