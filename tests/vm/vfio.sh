#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Devices driven over VFIO behind an emulated IOMMU: drivers changed, every vector its own event, registers, DMA that
# arrives and DMA that is blocked, several devices in a space, a container in two processes, reset.
# guest: modules vfio-pci vfio_iommu_type1 e1000e nvme uio_pci_generic
# guest: machine q35,kernel-irqchip=split
# guest: qemu -device intel-iommu,intremap=on -device e1000e,addr=3,romfile=
# guest: qemu -chardev socket,path=$dir/ivshmem,id=server -device ivshmem-doorbell,vectors=4,chardev=server,addr=4
# guest: qemu -device nvme,serial=1,addr=5 -device edu,addr=6,dma_mask=0xffffffff
# guest: qemu -device pcie-root-port,id=root,addr=7 -device edu,bus=root,dma_mask=0xffffffff
# guest: host ivshmem.py
# guest: files pci.sh
# guest: seconds 180
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
nic=0000:00:03.0 shared=0000:00:04.0 disk=0000:00:05.0 edu=0000:00:06.0 second=0000:01:00.0
all=("$nic" "$shared" "$disk" "$edu" "$second")

for driver in vfio-pci uio_pci_generic vfio-pci; do
	[[ $("$sluice" bind $nic $driver 2>/tmp/err) == "$nic: $driver" && $(driver_of $nic) == "$driver" ]]
	"$sluice" show $nic | grep -Eq "^  driver +$driver, and none but $driver$"
	"$sluice" show $nic | grep -Eq '^  restores to +e1000e$'
done
"$sluice" devices | grep -A 1 "^$nic  vfio-pci" | grep -q '^ *vfio: yes$'
[[ $("$sluice" unbind $nic --restore) == "$nic: e1000e" && $(driver_of $nic) == e1000e ]]
[[ $("$sluice" unbind $nic) == "$nic: no driver" && $(driver_of $nic) == none ]]
[[ $("$sluice" unbind $nic --restore) == "$nic: e1000e" ]]
rm /tmp/err
ok 'bind, unbind, restore: e1000e, vfio-pci, uio_pci_generic'

take vfio-pci "${all[@]}"
for of in "$nic e1000e" "$shared ivshmem" "$disk nvme"; do
	# shellcheck disable=SC2086 # two words
	"$drive" vectors $of 1000
done
"$drive" intx $nic e1000e vfio
"$drive" intx $edu edu vfio
"$drive" msi $edu

for of in "$nic e1000e" "$shared ivshmem" "$disk nvme" "$edu edu"; do
	# shellcheck disable=SC2086 # two words
	"$drive" regions $of vfio
done

# faulted read|write ADDRESS: of edu's DMA, in the kernel's log
faulted() {
	dmesg | grep -Eiq "DMAR: \[DMA $1[^]]*\] Request device \[${edu#0000:}\] fault addr $2 "
}
"$drive" isolation $edu >/tmp/said || { cat /tmp/said && exit 1; }
cat /tmp/said
outside=$(sed -n 's/^outside //p' /tmp/said) unmapped=$(sed -n 's/^unmapped //p' /tmp/said)
rm /tmp/said
until_so faulted write "$outside"
until_so faulted read "$outside"
until_so faulted write "$unmapped"
ok 'the kernel has logged each DMA that was blocked, with its address'

"$drive" spaces $edu $second
"$drive" container $edu $second
"$drive" halt $edu $second
"$drive" memory $edu vfio 2000000

[[ $(cat $devices/$disk/reset_method) == flr* ]]
for device in $nic $disk $second; do
	read -r how _ <$devices/$device/reset_method
	"$drive" reset $device "$how"
done
"$drive" reset $edu none
give_back "${all[@]}"
[[ $(driver_of $nic) == e1000e && $(driver_of $disk) == nvme && $(driver_of $edu) == none ]]
