#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What `make run-vm` shows first: guest-nic.sh in a guest without an IOMMU, where our kernel module gives a program what
# VFIO cannot: each vector as an eventfd of its own, and memory for DMA.
# guest: modules uio e1000e virtio_net tun
# guest: our-modules uio_msix
# guest: programs ip ping
# guest: files guest-nic.sh
# guest: qemu -device pcie-root-port,id=root,addr=5
# guest: qemu -netdev hubport,id=h0,hubid=0 -device e1000e,netdev=h0,bus=root,romfile=,mac=02:00:00:00:00:03
# guest: qemu -netdev hubport,id=h1,hubid=0 -device virtio-net-pci,netdev=h1,addr=4,romfile=,mac=02:00:00:00:00:04
. "$(dirname "$0")/../tests/vm/guest.sh"
load uio_msix
# shellcheck disable=SC2034 # for the rest of the story
driver=uio_msix nic=0000:01:00.0
. "$(dirname "$0")/guest-nic.sh"
rmmod uio_msix
