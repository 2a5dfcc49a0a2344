#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# examples/edu.c: DMA both ways and an interrupt, over vfio and over uio; over iommufd where the kernel has that.
# guest: modules vfio_iommu_type1 vfio-pci uio_pci_generic
# guest: qemu -device intel-iommu,intremap=on -device edu,addr=3,dma_mask=0xffffffff
# guest: append iommu=pt
. "$(dirname "$0")/guest.sh"
sluice=$1 edu=$2 at=0000:00:03.0
declare -A over=([vfio-pci]='vfio (type1v2)' [uio_pci_generic]=uio_pci_generic)
[[ $GUEST_KERNEL != *-iommufd* ]] || over[vfio-pci]='vfio (iommufd)'

echo 8 >/proc/sys/vm/nr_hugepages
for driver in vfio-pci uio_pci_generic; do
	"$sluice" bind "$at" "$driver"
	"$edu" "$at" | tee /run/said
	grep -qFx "over ${over[$driver]}: what came back is right" /run/said
	ok "${over[$driver]}: DMA both ways, an interrupt each"
	"$sluice" unbind "$at" --restore
done
echo 0 >/proc/sys/vm/nr_hugepages
