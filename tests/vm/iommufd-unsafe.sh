#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# VFIO behind an IOMMU that does not remap interrupts, so that a device could forge them: refused, and said what to do.
# guest: kernels 6.12-iommufd 6.12-iommufd-cdev 6.12-kasan
# guest: modules vfio-pci
# guest: qemu -device intel-iommu,intremap=off -device edu,addr=3,dma_mask=0xffffffff
# guest: files pci.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
edu=0000:00:03.0
take vfio-pci $edu
says '-1: .*does not remap interrupts.* load iommufd with allow_unsafe_interrupts=1' "$drive" memory $edu vfio 4096
ok 'refused'
echo 1 >/sys/module/iommufd/parameters/allow_unsafe_interrupts
"$drive" memory $edu vfio 4096
ok 'what the sentence advises helps'
"$sluice" unbind $edu >/dev/null
