#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Who may drive a device over VFIO, and what is said to who may not. At the end the kernel is locked down, for good.
# guest: modules vfio-pci vfio_iommu_type1 e1000e uio_pci_generic
# guest: programs setpriv prlimit
# guest: machine q35,kernel-irqchip=split
# guest: qemu -device intel-iommu,intremap=on -device edu,addr=3,dma_mask=0xffffffff
# guest: qemu -device pcie-pci-bridge,id=bridge,addr=4 -device edu,bus=bridge,addr=1,dma_mask=0xffffffff
# guest: qemu -device e1000e,bus=bridge,addr=2,romfile=
# guest: files pci.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
edu=0000:00:03.0 beside=0000:01:01.0 nic=0000:01:02.0

says "bound to no driver: sluice bind $edu vfio-pci" "$drive" memory $edu vfio 4096
take vfio-pci $edu
node=/dev/vfio/$(group_of $edu)
says "-13: .*$node is not yours to read and write: as root, chown" as_user "$drive" memory $edu vfio 4096
ok 'another driver, another owner: the sentence says what to do'

chown 1000 "$node"
as_user "$drive" memory $edu vfio 1000000
says '-12: .*RLIMIT_MEMLOCK' as_user prlimit --memlock=65536:65536 "$drive" memory $edu vfio 1000000
# 1000000 bytes are 245 pages
says '1003520' as_user prlimit --memlock=65536:65536 "$drive" memory $edu vfio 1000000
as_user prlimit --memlock=1003520:1003520 "$drive" memory $edu vfio 1000000
ok 'who has the group drives it; how much memory has to be locked is said'

hold $edu vfio
says '-16: .*open elsewhere' "$drive" memory $edu vfio 4096
kill -TERM "$holder"
let_go 'told to end'
"$drive" memory $edu vfio 4096
hold $edu vfio
killed
"$drive" memory $edu vfio 4096
ok 'one program at a time; after it ends, or is killed, the next'

take vfio-pci $beside
[[ $(group_of $beside) == "$(group_of $nic)" ]]
says "-16: .*group $(group_of $nic) is not viable: $nic is still bound to e1000e" "$drive" memory $beside vfio 4096
says "bound to e1000e: sluice bind $nic vfio-pci" "$drive" hold $nic vfio
take vfio-pci $nic
"$drive" memory $beside vfio 4096
ok 'a group that is not viable'

take uio_pci_generic $edu
says '-1: .*an IOMMU translates its addresses .*: use vfio-pci, or boot with iommu=pt' "$drive" memory $edu uio 4096
says '-[0-9]+: .*bound to uio_pci_generic: sluice bind' "$drive" memory $edu vfio 4096
ok 'no UIO behind an IOMMU that translates'

mount -t securityfs none /sys/kernel/security
echo integrity >/sys/kernel/security/lockdown
says '-1: .*kernel lockdown .* refuses BARs' "$drive" memory $edu uio 4096
take vfio-pci $edu
chown 1000 "$node"
as_user "$drive" memory $edu vfio 1000000
"$drive" intx $edu edu vfio
umount /sys/kernel/security
ok 'in a kernel that is locked down: VFIO, no UIO'
give_back $edu $beside $nic
