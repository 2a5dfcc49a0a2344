# SPDX-License-Identifier: BSD-2-Clause
# What tests of a disk do to it, however it came to the guest; source it where $dir is a folder of the test's.
# shellcheck shell=bash

has_packed_ring() { # DISK: feature 34 was negotiated
	[[ $(cut -c 35 "/sys/block/$1/device/features") == 1 ]]
}

file_system() { # WHAT DISK
	local disk=/dev/$2 mnt=$dir/mnt
	mkdir -p "$mnt"
	mkfs.ext4 -q "$disk"
	mount "$disk" "$mnt"
	dd if=/dev/urandom of="$dir/data" bs=1M count=16 2>/dev/null
	cp "$dir/data" "$mnt/data"
	for n in {1..200}; do
		echo "$n" >"$mnt/$n"
	done
	sync
	echo 3 >/proc/sys/vm/drop_caches
	[[ $(sha256sum <"$mnt/data") == $(sha256sum <"$dir/data") ]]
	umount "$mnt"
	mount "$disk" "$mnt"
	cmp "$dir/data" "$mnt/data"
	[[ $(cat "$mnt/200") == 200 ]]
	umount "$mnt"
	e2fsck -fn "$disk" >/dev/null 2>&1
	ok "$1: mkfs, mount, write, read back, fsck"
}

random_io() { # WHAT DISK
	fio --eta=never --name=v --filename="/dev/$2" --direct=1 --ioengine=libaio --rw=randrw --bsrange=512-64k --iodepth=16 \
		--size=8M --verify=crc32c --output="$dir/fio"
	ok "$1: fio verifies what it has written"
}

discarded() { # WHAT DISK
	dd if="$dir/data" of="/dev/$2" bs=1M count=8 oflag=direct 2>/dev/null
	blkdiscard --zeroout --offset 1M --length 2M "/dev/$2"
	dd if="/dev/$2" bs=1M skip=1 count=2 iflag=direct 2>/dev/null | cmp -n 2097152 - /dev/zero
	blkdiscard --offset 4M --length 2M "/dev/$2"
	dd if="/dev/$2" bs=1M skip=3 count=1 iflag=direct 2>/dev/null | cmp - <(dd if="$dir/data" bs=1M skip=3 count=1 2>/dev/null)
	ok "$1: zeroes and discards hit what they name, and nothing else"
}
