#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The kernel wants a device back that is driven over VFIO: unplugged, unbound, its driver's module removed.
# guest: modules vfio-pci vfio_iommu_type1
# guest: machine q35,kernel-irqchip=split
# guest: qemu -device intel-iommu,intremap=on
# guest: qemu -device pcie-root-port,id=root,addr=5 -device edu,id=plug,bus=root,dma_mask=0xffffffff
# guest: qemu -qmp unix:$dir/qmp,server=on,wait=off
# guest: host qmp.py
# guest: files pci.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
plug=0000:01:00.0
take vfio-pci $plug

hold $plug vfio
says 'busy|in use|temporarily unavailable' rmmod vfio_pci
kill -0 "$holder"
"$sluice" unbind $plug >/dev/null
let_go 'wanted back'
[[ $(driver_of $plug) == none ]]
ok 'unbound under a program: it is asked, lets go, and unbinding ends'

for _ in 1 2; do
	take vfio-pci $plug
	hold $plug vfio
	qmp device_del '{"id": "plug"}'
	let_go 'wanted back'
	until_so test ! -e $devices/$plug
	says '-19: ' "$drive" memory $plug vfio 4096
	plug_in $plug '{"driver": "edu", "id": "plug", "bus": "root", "dma_mask": 4294967295}'
	take vfio-pci $plug
	"$drive" memory $plug vfio 4096
done
ok 'unplugged under a program: it is asked and lets go; plugged in anew, it works'
"$sluice" unbind $plug >/dev/null
