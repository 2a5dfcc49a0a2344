#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The guest of bench/uio_msix.py that has no IOMMU: as nic_guest.sh, with an edu as device 5, and QEMU can be debugged.
# guest: modules e1000e vfio_iommu_type1 vfio-pci uio_pci_generic
# guest: our-modules uio_msix
# guest: programs ip ethtool taskset
# guest: files ../tests/vm/guest.sh nic_guest.sh
# guest: seconds 900
# guest: qemu -m 1024
# guest: qemu -chardev socket,id=nic,path=sluice-bench-nic,abstract=on -serial chardev:nic
# guest: qemu -chardev socket,id=gdb,path=sluice-bench-gdb,abstract=on,server=on,wait=off -gdb chardev:gdb
# guest: qemu -netdev stream,id=rx,server=off,addr.type=fd,addr.str=100
# guest: qemu -device e1000e,netdev=rx,addr=0x3,romfile= -device e1000e,addr=0x4,romfile=
# guest: qemu -device edu,addr=0x5
. "$(dirname "$0")/nic_guest.sh"
