#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The module uio_msix, by its own interface and by the library: calls that are wrong, registers, every vector its own event,
# memory, more vectors than the machine has.
# usage: uio_msix.sh SLUICE DRIVE UM
# guest: our-modules uio_msix
# guest: modules e1000e nvme
# guest: programs setpriv prlimit
# guest: memory 768
# guest: qemu -device e1000e,addr=3,romfile= -device nvme,serial=1,addr=4
# guest: qemu -chardev socket,path=$dir/ivshmem,id=server
# guest: qemu -device pcie-root-port,id=r1,chassis=1,addr=5 -device ivshmem-doorbell,vectors=4,chardev=server,bus=r1
# guest: qemu -device pcie-root-port,id=r2,chassis=2,addr=6 -device edu,bus=r2,dma_mask=0xffffffff
# guest: qemu -device edu,addr=7 -device pci-testdev,membar=1M,addr=8 -device virtio-rng-pci,addr=9
# guest: qemu -device nvme,serial=2,addr=a,msix_qsize=2048
# guest: host ivshmem.py
# guest: files pci.sh
# guest: seconds 240
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
um=$3
nic=0000:00:03.0 disk=0000:00:04.0 shared=0000:01:00.0 edu=0000:02:00.0 narrow=0000:00:07.0
tester=0000:00:08.0 virtio=0000:00:09.0 crowd=0000:00:0a.0
all=("$nic" "$disk" "$shared" "$edu" "$narrow" "$tester" "$virtio" "$crowd")

load uio_msix
take uio_msix "${all[@]}"
((!($(cat /proc/sys/kernel/tainted) & 64))) # TAINT_USER
"$um" calls $edu
for device in "${all[@]}"; do
	"$um" config "$device"
done
"$um" bars $nic 0=m 1=m 2=i 3=mh
"$um" bars $disk 0=mh
"$um" bars $shared 0= 1=x 2=mw
"$um" bars $edu 0=m
"$um" bars $tester 0=m 1=i 2=mw
mount -t debugfs none /sys/kernel/debug 2>/dev/null || true
"$um" combining $shared 2
((!($(cat /proc/sys/kernel/tainted) & 64)))
"$um" wiring $shared
(($(cat /proc/sys/kernel/tainted) & 64))
ok 'the kernel is tainted once a device may do DMA'

echo 2 >/proc/sys/vm/nr_hugepages
"$um" dma $edu
"$um" remapped $edu
"$um" stale $edu 3000
if grep -q 'zone *DMA$' /proc/zoneinfo; then
	"$um" mask $narrow
else
	ok '28 bits of address # SKIP this kernel sets no memory apart for that'
fi
setpriv --inh-caps=-all --bounding-set=-all,+sys_rawio prlimit --memlock=65536:65536 "$um" locked $edu
chown 1000 /dev/uio_msix/$edu
as_user "$um" open $edu 1
echo 0 >/proc/sys/vm/nr_hugepages
ok 'who has the file, but not CAP_SYS_RAWIO, may not'

# By the library. First what ends without MSI-X being off: QEMU's e1000e is not reset, and aborts when it is on soon after an
# interrupt that came without.
"$drive" race $nic e1000e 1000 uio_msix
"$drive" race $disk nvme 1000 uio_msix
"$um" race $shared 1000
for of in "$nic e1000e" "$shared ivshmem" "$disk nvme"; do
	# shellcheck disable=SC2086 # two words
	"$drive" vectors $of 1000 uio_msix
done
"$drive" intx $nic e1000e uio_msix
"$drive" intx $edu edu uio_msix
"$drive" msi $edu uio_msix
for of in "$nic e1000e" "$shared ivshmem" "$disk nvme" "$edu edu"; do
	# shellcheck disable=SC2086 # two words
	"$drive" regions $of uio_msix
done
"$um" crowded $crowd $edu
give_back "${all[@]}"
rmmod uio_msix
