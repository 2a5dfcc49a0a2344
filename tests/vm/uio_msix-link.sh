#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# All of pci-link.sh over uio_msix, with MSI-X and without an IOMMU.
# guest: our-modules uio_msix
# guest: modules e1000e virtio_pci virtio_net tun
# guest: programs ip ping nstat
# guest: python ../netns/traffic.py ../netns/report.py
# guest: files ../netns/lib.sh pci.sh pci-link.sh
# guest: memory 1024
# guest: qemu -netdev hubport,id=h1,hubid=0 -netdev hubport,id=h2,hubid=0 -netdev hubport,id=h3,hubid=1 -netdev hubport,id=h4,hubid=1
# guest: qemu -device pcie-root-port,id=root,addr=3 -device e1000e,id=plug,bus=root,netdev=h1,romfile=
# guest: qemu -device e1000e,addr=4,netdev=h2,romfile= -device e1000e,addr=5,netdev=h3,romfile=
# guest: qemu -device virtio-net-pci,addr=6,netdev=h4,romfile=
# guest: qemu -qmp unix:$dir/qmp,server=on,wait=off
# guest: host qmp.py
# guest: seconds 150
. "$(dirname "$0")/guest.sh"
load uio_msix intr_mode=msix
# shellcheck disable=SC2034 # what pci-link.sh goes
ways=uio_msix
. "$(dirname "$0")/pci-link.sh"
rmmod uio_msix
