#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The guest of bench/vduse.py: disks that the guest's kernel has by VDUSE, one contender after the other, and fio on each.
# guest: kernels 6.12
# guest: modules virtio_blk vduse virtio_vdpa loop
# guest: programs fio vdpa qemu-storage-daemon losetup taskset
# guest: memory 1536
# guest: seconds 1500
# usage in the guest: vduse_guest.sh SLUICE ROUNDS SECONDS-EACH
. "$(dirname "$0")/../tests/vm/guest.sh"
sluice=$1 rounds=$2 seconds=$3
size=256M
mkdir -p /run/bench
cd /run/bench
# Whole from the beginning: no contender pays for the first touch of a page.
dd if=/dev/zero of=disk.img bs=1M count=256 status=none

wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}
disk_of() { # NAME: the kernel's disk, once it is there
	local block
	for block in /sys/bus/vdpa/devices/"$1"/virtio*/block/*; do
		disk=/dev/${block##*/}
		[[ -b $disk ]] && return
	done
	return 1
}

# Each sets disk and what ends it.
sluice_disk() { # MODEL POLL
	"$sluice" serve "$1" --via vduse:name=vb0,attach=on --poll "$2" --stats 0 >serve.log 2>&1 &
	pid=$!
	wait_for 30 disk_of vb0
}
qsd_disk() { # BLOCKDEV...
	qemu-storage-daemon --blockdev "$1" \
		--export type=vduse-blk,id=e0,node-name=n0,name=vb0,writable=on,num-queues=1,queue-size=256 >qsd.log 2>&1 &
	pid=$!
	wait_for 30 test -e /dev/vduse/vb0
	timeout 30 vdpa dev add name vb0 mgmtdev vduse
	wait_for 30 disk_of vb0
}
begin() { # CONTENDER
	pid=
	case $1 in
	'sluice, file') sluice_disk blk,file=disk.img off ;;
	'sluice, file, adaptive') sluice_disk blk,file=disk.img adaptive ;;
	'sluice, null') sluice_disk blk,null off ;;
	'sluice, null, adaptive') sluice_disk blk,null adaptive ;;
	'qemu-storage-daemon, file') qsd_disk driver=file,node-name=n0,filename=disk.img,aio=threads ;;
	'qemu-storage-daemon, null') qsd_disk driver=null-co,node-name=n0,size=268435456,read-zeroes=off ;;
	'loop') disk=$(losetup --find --show disk.img) ;;
	esac
}
finish() { # CONTENDER
	case $1 in
	sluice*) kill -TERM $pid && wait $pid ;;
	qemu*) timeout 30 vdpa dev del vb0 && kill -TERM $pid && wait $pid ;;
	loop) losetup --detach "$disk" ;;
	esac
}

measure() { # CONTENDER NAME FIO-OPTION...
	local contender=$1 name=$2 said
	shift 2
	# terse, version 3: field 8 is read IOPS, 49 write IOPS
	said=$(fio --name=x --filename="$disk" --direct=1 --ioengine=libaio --time_based --runtime="$seconds" --size=$size \
		--randrepeat=0 --output-format=terse --terse-version=3 "$@" | tail -n 1)
	echo "RESULT {\"contender\": \"$contender\", \"test\": \"$name\", \"iops\": $(cut -d ';' -f 8 <<<"$said"), \"write_iops\": $(cut -d ';' -f 49 <<<"$said")}"
}

contenders=('sluice, file' 'qemu-storage-daemon, file' 'sluice, file, adaptive' 'loop'
	'sluice, null' 'qemu-storage-daemon, null' 'sluice, null, adaptive')
for ((round = 1; round <= rounds; round++)); do
	for contender in "${contenders[@]}"; do
		begin "$contender"
		measure "$contender" '4k randread, qd1' --rw=randread --bs=4k --iodepth=1
		measure "$contender" '4k randread, qd32' --rw=randread --bs=4k --iodepth=32
		measure "$contender" '4k randwrite, qd1' --rw=randwrite --bs=4k --iodepth=1
		measure "$contender" '4k randwrite, qd32' --rw=randwrite --bs=4k --iodepth=32
		measure "$contender" '64k read, qd1' --rw=read --bs=64k --iodepth=1
		finish "$contender"
	done
	ok "round $round"
done
