#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What `make run-vm` shows, in a guest with Debian's kernel: the kernel's own disk is a process, over VDUSE. A file system on it
# is written while that process is killed with -9 and started again.
# guest: modules virtio_blk vduse virtio_vdpa ext4 crc32c_generic
# guest: programs mkfs.ext4 e2fsck
# guest: kernels 6.12
. "$(dirname "$0")/../tests/vm/guest.sh"
sluice=$1 image=/dev/shm/disk.img mnt=/run/mnt

say() {
	echo
	echo "\$ ${*/#"$sluice"/sluice}"
	"$@"
}

serve() { # in the background; returns when it is ready
	: >/run/serve.log
	echo
	echo "\$ sluice serve blk,file=$image --via vduse:name=disk0,attach=on &"
	"$sluice" serve -v --stats 0 "blk,file=$image" --via vduse:name=disk0,attach=on >>/run/totals 2>/run/serve.log &
	server=$!
	until grep -q 'ready' /run/serve.log; do
		kill -0 "$server" || cat /run/serve.log
		sleep 0.1
	done
}

disk() {
	basename /sys/bus/vdpa/devices/disk0/virtio*/block/vd*
}

truncate -s 64M "$image"
serve
for _ in {1..100}; do
	[[ ! -b /dev/$(disk) ]] || break
	sleep 0.1
done
say "$sluice" vduse list
say mkfs.ext4 -q "/dev/$(disk)"
mkdir "$mnt"
say mount "/dev/$(disk)" "$mnt"
dd if=/dev/urandom of=/run/data bs=1M count=16 2>/dev/null
echo
echo "\$ cp data $mnt/1; sync; cp data $mnt/2; sync &"
(cp /run/data "$mnt/1" && sync && cp /run/data "$mnt/2" && sync) &
writer=$!
for _ in 1 2 3; do
	sleep 0.2
	say kill -9 "$server"
	wait "$server" 2>/dev/null || true
	serve
done
wait "$writer"
echo 3 >/proc/sys/vm/drop_caches
say cmp /run/data "$mnt/1"
say cmp /run/data "$mnt/2"
say umount "$mnt"
say e2fsck -fn "/dev/$(disk)"
ok 'a file system on a disk that is a process, which was killed three times'

say kill "$server"
wait "$server"
tail -n 3 /run/totals
[[ ! -e /dev/vduse/disk0 && ! -e /sys/bus/vdpa/devices/disk0 ]]
ok 'told to end, it leaves nothing behind'
rm "$image"
