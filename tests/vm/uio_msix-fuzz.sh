#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# uio_msix against a program that calls it at random, with threads that race close(2), munmap(2) and fork(2), and an
# administrator who unbinds, resets, unplugs and reloads meanwhile. What is looked for: a complaint of the kernel's (freed
# pages that were written, too), and anything that is not given back. The calls are counted: each kind must have
# succeeded and failed. The last device is one that cannot be reset.
# QEMU 7.2 has one thread for all processors: with two it dies when one turns BARs on or off and the other is at a register
# (memory_region_dispatch_read() of what is no region).
# usage: uio_msix-fuzz.sh FUZZ [SECONDS [SEED]]
# guest: our-modules uio_msix
# guest: memory 1024
# guest: append page_poison=1
# guest: tcg single
# guest: seconds 420
# guest: qemu -device pcie-root-port,id=r0,chassis=1,addr=3 -device edu,id=d0,bus=r0
# guest: qemu -device pcie-root-port,id=r1,chassis=2,addr=4 -device e1000e,id=d1,bus=r1,romfile=
# guest: qemu -device pcie-root-port,id=r2,chassis=3,addr=5 -device nvme,id=d2,bus=r2,serial=1
# guest: qemu -device pcie-root-port,id=r3,chassis=4,addr=6
# guest: qemu -chardev socket,path=$dir/ivshmem,id=server -device ivshmem-doorbell,id=d3,bus=r3,vectors=4,chardev=server
# guest: qemu -device edu,addr=7
# guest: qemu -qmp unix:$dir/qmp,server=on,wait=off
# guest: host ivshmem.py
# guest: host qmp.py
. "$(dirname "$0")/guest.sh"
fuzz=$1 seconds=${2:-30} seed=${3:-$RANDOM}
addresses=(0000:01:00.0 0000:02:00.0 0000:03:00.0 0000:04:00.0 0000:00:07.0)

available() { # KB of memory, when what can be is given back
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^(MemAvailable|Mlocked|Unevictable):/ { printf "%s ", $2 } END { print "" }' /proc/meminfo
}

vmstat() {
	awk -v "name=$1" '$1 == name { print $2 }' /proc/vmstat
}

# Pages are freed some time after their last user has gone.
all_unpinned() {
	local end=$((SECONDS + 10))
	while (($(vmstat nr_foll_pin_acquired) != $(vmstat nr_foll_pin_released))); do
		((SECONDS < end)) || {
			echo "FAIL: pinned: $(vmstat nr_foll_pin_acquired), given back: $(vmstat nr_foll_pin_released)"
			return 1
		}
		sleep 0.1
	done
}

# Who does not come to an end, and where the kernel has them.
hangs() {
	local process
	trap - ERR
	sleep $((seconds + 90)) &
	trap 'kill $!; exit' TERM
	wait $!
	for process in /proc/[0-9]*; do
		[[ $(readlink "$process/exe") == "$fuzz" ]] || continue
		tail -n +1 "$process"/task/*/stack
		kill -KILL "${process#/proc/}"
	done
}

# Where the kernel can let its small allocations fail: those that could wait too, and without telling each.
if [[ -e /sys/kernel/debug/failslab ]]; then
	echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/failslab/verbose
fi
echo "seed $seed"
read -r free locked unevictable < <(available)
"$fuzz" chaos "$seed" "$seconds" /modules/ours/uio_msix.ko "${addresses[@]}" &
chaos=$!
hangs &
watch=$!
status=0
"$fuzz" calls "$seed" "$seconds" 6 "${addresses[@]}" || status=1
wait $chaos || status=1
kill $watch
wait $watch || true
((status == 0))
ok "$seconds s of calls at random"

for address in "${addresses[@]}"; do
	[[ $(readlink "/sys/bus/pci/devices/$address/driver") == */uio_msix ]]
	echo "$address" >/sys/bus/pci/drivers/uio_msix/unbind
	echo >"/sys/bus/pci/devices/$address/driver_override"
done
rmmod uio_msix
all_unpinned
read -r free_now locked_now unevictable_now < <(available)
echo "available: $free kB before, $free_now kB after; pinned and unpinned: $(vmstat nr_foll_pin_released) pages"
((locked_now == locked && unevictable_now == unevictable))
# 6.1 keeps up to 17 MB for itself after so much plugging, 6.12 none; what was allocated for DMA is a multiple of it. A kernel
# with KASAN keeps what is freed for a while; it has kmemleak.
[[ -e /sys/kernel/debug/kmemleak ]] || ((free - free_now < 32768))
(($(vmstat nr_foll_pin_released) > 0))
ok 'the module goes, and all memory is back'
