#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Devices driven over uio_pci_generic, without an IOMMU: INTx, registers, DMA, the program killed, the device unplugged.
# At the end the kernel is locked down, for good.
# guest: modules vfio-pci vfio_iommu_type1 e1000e uio_pci_generic
# guest: programs setpriv
# guest: memory 768
# guest: qemu -device edu,addr=3,dma_mask=0xffffffff -device e1000e,addr=4,romfile=
# guest: qemu -device pcie-root-port,id=root,addr=5 -device edu,id=plug,bus=root,dma_mask=0xffffffff
# guest: qemu -qmp unix:$dir/qmp,server=on,wait=off
# guest: host qmp.py
# guest: files pci.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
edu=0000:00:03.0 nic=0000:00:04.0 plug=0000:01:00.0

take uio_pci_generic $edu $nic $plug
says 'no IOMMU: turn on VT-d' "$drive" memory $edu vfio 4096
says '-1: .*CAP_SYS_ADMIN' as_user "$drive" memory $edu uio 4096
says '-12: .*vm.nr_hugepages' "$drive" memory $edu uio 4096
ok 'no VFIO without an IOMMU; no UIO without rights, no DMA without huge pages: the sentence says what to do'

echo 16 >/proc/sys/vm/nr_hugepages
[[ $(cat /proc/sys/vm/nr_hugepages) == 16 ]]
"$drive" memory $edu uio 4096
"$drive" memory $edu uio 5000000
"$drive" memory $edu auto 8000000
for of in "$edu edu" "$nic e1000e"; do
	# shellcheck disable=SC2086 # two words
	"$drive" regions $of uio
	# shellcheck disable=SC2086
	"$drive" intx $of uio
done
[[ $(awk '/HugePages_Free/ { print $2 }' /proc/meminfo) == 16 ]]
ok 'all huge pages are free again'

# bus_master ADDRESS: bit 2 of the command register, at 4
bus_master() {
	local command
	command=$(od -An -tu1 -j 4 -N 1 "$devices/$1/config")
	((command & 4))
}
hold $edu uio
says 'busy|in use|temporarily unavailable' rmmod uio_pci_generic
bus_master $edu
killed
! bus_master $edu
"$drive" memory $edu uio 4096
ok 'a program that is killed: no bus mastering is left, the next one goes on'

hold $plug uio
qmp device_del '{"id": "plug"}'
let_go 'gone: '
until_so test ! -e $devices/$plug
plug_in $plug '{"driver": "edu", "id": "plug", "bus": "root", "dma_mask": 4294967295}'
take uio_pci_generic $plug
"$drive" memory $plug uio 4096
ok 'unplugged under a program: it is told, touching registers is no fault; plugged in anew, it works'

hold $edu uio
"$sluice" unbind $edu >/dev/null
let_go 'gone: '
take uio_pci_generic $edu
"$drive" memory $edu uio 4096
ok 'unbound under a program'

mount -t securityfs none /sys/kernel/security
echo integrity >/sys/kernel/security/lockdown
says '-1: .*kernel lockdown .* refuses BARs' "$drive" memory $edu uio 4096
umount /sys/kernel/security
echo 0 >/proc/sys/vm/nr_hugepages
ok 'no UIO in a kernel that is locked down'
give_back $edu $nic $plug
