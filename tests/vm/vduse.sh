#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The kernel's own disk is a sluice process: file system, fio, discard, resize, two queues; split and packed rings, with
# memory of ours for the driver's buffers and without; and what sluice vduse says of it.
# guest: modules virtio_blk vduse virtio_vdpa ext4 crc32c_generic loop
# guest: programs fio mkfs.ext4 e2fsck blkdiscard cmp sha256sum vdpa losetup
# guest: files vduse-lib.sh disk-lib.sh
# guest: memory 1024
# guest: seconds 240
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/vduse-lib.sh"
. "$(dirname "$0")/disk-lib.sh"

# round WHAT MODEL TRANSPORT
round() {
	serve d0 "$2" "attach=on${3:+,$3}"
	wait_for 'a disk' has_disk d0
	disk=$(disk_of d0)
	file_system "$1" "$disk"
	random_io "$1" "$disk"
	discarded "$1" "$disk"
}

file=/dev/shm/slt-disk
truncate -s 96M $file
round split "blk,file=$file"
! has_packed_ring "$disk"
truncate -s 128M $file
wait_for 'the new size' size_is "$disk" $((128 << 20))
dd if="$dir/data" of="/dev/$disk" bs=1M count=1 seek=127 oflag=direct 2>/dev/null
ok 'split: it grows while it is used'
"$sluice" vduse list | grep -Eq "^d0 +attached +virtio_vdpa +$disk\$"
"$sluice" vduse list --json | grep -q "\"is\":\"$disk\""
! "$sluice" vduse destroy d0 2>"$dir/err"
grep -q 'd0 is busy: it is attached' "$dir/err"
ok 'sluice vduse tells what it is, and does not destroy it'
ended d0
ok 'split: nothing is left behind'
# A worker that never sleeps hears messages all the same.
poll=on serve d0 "blk,file=$file" attach=on
wait_for 'a disk' has_disk d0
random_io '--poll on' "$(disk_of d0)"
ended d0
ok '--poll on: nothing is left behind'

ulimit -l unlimited
round umem "blk,file=$file" umem=on
! grep -i 'no memory of our own' "$dir/d0.log"
ended d0
ulimit -l 8192
serve d0 "blk,file=$file" attach=on,umem=on
wait_for 'a disk' has_disk d0
random_io 'umem without locked memory' "$(disk_of d0)"
grep -q 'no memory of our own .*ulimit -l' "$dir/d0.log"
ended d0
ok 'umem: what it needs is said, and it works without'

losetup /dev/loop0 $file
ulimit -l unlimited
round packed 'blk,file=/dev/loop0,queues=2' packed=on,umem=on
disk=$(disk_of d0)
has_packed_ring "$disk"
[[ $(ls "/sys/block/$disk/mq" | wc -l) == 2 ]]
for cpu in 0 1; do
	taskset $((cpu + 1)) dd if="/dev/$disk" of=/dev/null bs=64k count=32 iflag=direct 2>/dev/null
done
ok 'packed: a packed ring, two queues'
mount "/dev/$disk" "$dir/mnt" 2>/dev/null || { mkfs.ext4 -q "/dev/$disk" && mount "/dev/$disk" "$dir/mnt"; }
cp "$dir/data" "$dir/mnt/last"
umount "$dir/mnt"
ended d0
ok 'packed: nothing is left behind'
mount /dev/loop0 "$dir/mnt"
cmp "$dir/data" "$dir/mnt/last"
umount "$dir/mnt"
ok 'what was written last is on the disk behind it'
losetup -d /dev/loop0

# Attached by hand, and told to end while it is written to: what the kernel still has is written first.
serve d0 "blk,file=$file"
"$sluice" vduse list | grep -Eq '^d0 +- +- +-$'
timeout 20 vdpa dev add name d0 mgmtdev vduse
wait_for 'a disk' has_disk d0
dd if="$dir/data" of="/dev/$(disk_of d0)" bs=1M count=16 2>/dev/null
ended d0
cmp -n $((16 << 20)) "$dir/data" $file
ok 'vdpa dev add, and an end with writes that had not been made yet'

# A daemon that was killed leaves its device; a second one serves it on.
serve d0 "blk,file=$file" attach=on
wait_for 'a disk' has_disk d0
! timeout 20 "$sluice" serve "blk,mem=1M" --via vduse:name=d0 2>"$dir/err"
grep -q 'another process serves d0' "$dir/err"
killed d0
! timeout 20 "$sluice" serve "blk,mem=1M,queues=2" --via vduse:name=d0 2>"$dir/err"
grep -q 'sluice vduse destroy d0' "$dir/err"
timeout 50 "$sluice" vduse destroy d0 --detach
[[ ! -e /dev/vduse/d0 && ! -e /run/sluice/d0.log ]]
! "$sluice" vduse destroy d0 2>"$dir/err"
grep -q 'there is no VDUSE device d0' "$dir/err"
[[ $("$sluice" vduse list) == 'No VDUSE devices.' ]]
ok 'what a killed daemon has left behind is destroyed'
