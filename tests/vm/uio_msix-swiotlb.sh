#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The module uio_msix in a kernel that copies all DMA back and forth: a program's own memory would never see it.
# usage: uio_msix-swiotlb.sh SLUICE DRIVE UM
# guest: our-modules uio_msix
# guest: qemu -device edu,addr=3,dma_mask=0xffffffff
# guest: append swiotlb=force
# guest: files pci.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
um=$3 edu=0000:00:03.0

load uio_msix
take uio_msix $edu
echo 2 >/proc/sys/vm/nr_hugepages
"$um" bounced $edu
echo 0 >/proc/sys/vm/nr_hugepages
"$sluice" unbind $edu >/dev/null
rmmod uio_msix
