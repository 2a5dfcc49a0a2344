#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The module uio_msix with uio=1: the same device for programs that know only UIO. Its other parameters. At the end the kernel
# is locked down, for good.
# usage: uio_msix-uio.sh SLUICE DRIVE UM
# guest: our-modules uio_msix
# guest: modules nvme
# guest: qemu -device e1000e,addr=3,romfile= -device edu,addr=4,dma_mask=0xffffffff
# guest: qemu -device pcie-root-port,id=r1,chassis=1,addr=5 -device pcie-root-port,id=r2,chassis=2,addr=6 -device nvme-subsys,id=sub
# guest: qemu -device nvme,serial=1,bus=r2,subsys=sub,sriov_max_vfs=1,sriov_vq_flexible=2,sriov_vi_flexible=1,max_ioqpairs=4
# guest: files pci.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
um=$3 driver=/sys/bus/pci/drivers/uio_msix
nic=0000:00:03.0 edu=0000:00:04.0 port=0000:00:05.0 disk=0000:02:00.0 virtual=0000:02:00.1

# with PARAMETER...: the module anew
with() {
	! [[ -e $driver ]] || rmmod uio_msix
	load uio_msix "$@"
	take uio_msix $nic $edu
}

with uio=1
"$um" uio $nic e1000e
with uio=1 intr_mode=intx
"$um" uio $edu edu
for kind in msix msi intx; do
	with intr_mode=$kind
	"$um" kinds $nic $kind
	[[ ! -e $devices/$nic/uio ]]
done
rmmod uio_msix
says 'Invalid|invalid' load uio_msix intr_mode=some
with uio=1
"$um" kinds $nic all
ok 'intr_mode: a kind that is not allowed is not there'

# refuses ADDRESS: the module does
refuses() {
	echo uio_msix >"$devices/$1/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe || true
	[[ $(driver_of "$1") == none ]]
	echo >"$devices/$1/driver_override"
}
echo $port >/sys/bus/pci/drivers/pcieport/unbind
refuses $port
echo $port >/sys/bus/pci/drivers_probe
[[ $(driver_of $port) == pcieport ]]
echo 0 >$devices/$disk/sriov_drivers_autoprobe
echo 1 >$devices/$disk/sriov_numvfs
refuses $virtual
with allow_vf=1
echo uio_msix >$devices/$virtual/driver_override
echo $virtual >/sys/bus/pci/drivers_probe
"$um" open $virtual
echo 0 >$devices/$disk/sriov_numvfs
[[ ! -e /dev/uio_msix/$virtual ]]
ok 'no bridge, and no virtual function unless it is allowed'
with uio=1

: >/tmp/held
"$um" uio-hold $nic >/tmp/held 2>&1 &
holder=$!
held=/tmp/held
until_so grep -q '^held\|FAIL' $held
says 'busy|in use|temporarily unavailable' rmmod uio_msix
begin=${EPOCHREALTIME/./}
echo $nic >$driver/unbind
((${EPOCHREALTIME/./} - begin < 2000000))
let_go gone
take uio_msix $nic
"$um" open $nic
ok 'unbound under an open /dev/uioN: what was mapped is taken away, and the next one has it'

mount -t securityfs none /sys/kernel/security
"$um" open $nic
echo integrity >/sys/kernel/security/lockdown
"$um" open $nic 1
"$um" uio-open $nic 1
"$sluice" unbind $nic >/dev/null
says . "$sluice" bind $nic uio_msix
[[ $(driver_of $nic) == none ]]
umount /sys/kernel/security
ok 'in a kernel that is locked down: neither opened nor bound'
"$sluice" unbind $nic >/dev/null
"$sluice" unbind $edu >/dev/null
rmmod uio_msix
