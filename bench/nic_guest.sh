#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The guest of bench/nic.py, which gives it to tests/vm/run.sh as if it were a test: does line by line what comes by the
# third serial port, and answers there with what was said and "%% STATUS". NIC 3 receives what nic.py sends; to NIC 4
# nothing is connected, so that what it sends costs no more than it must.
# guest: modules e1000e vfio_iommu_type1 vfio-pci uio_pci_generic
# guest: programs ip ethtool taskset
# guest: files ../tests/vm/guest.sh
# guest: seconds 900
# guest: qemu -m 1024
# guest: qemu -chardev socket,id=nic,path=sluice-bench-nic,abstract=on -serial chardev:nic
# guest: qemu -device intel-iommu,intremap=on
# guest: qemu -netdev stream,id=rx,server=off,addr.type=fd,addr.str=100
# guest: qemu -device e1000e,netdev=rx,addr=0x3,romfile= -device e1000e,addr=0x4,romfile=
# guest: append iommu=pt
. "$(dirname "$0")/../tests/vm/guest.sh"
sluice=$1
shift

# What the kernel's driver does best with; all of it on processor 0, as the program.
# shellcheck disable=SC2317 # nic.py calls it
kernel_nic() { # ADDRESS NAME
	local irq
	[[ -e /sys/bus/pci/devices/$1/net/$2 ]] || return
	sysctl -qw "net.ipv6.conf.$2.disable_ipv6=1"
	ethtool -G "$2" rx 4096 tx 4096
	ethtool -K "$2" gro off
	ethtool -C "$2" rx-usecs 0
	ip link set "$2" promisc on up
	for irq in "/sys/bus/pci/devices/$1/msi_irqs/"*; do
		echo 1 >"/proc/irq/${irq##*/}/smp_affinity"
	done
}

# shellcheck disable=SC2317
driver() { # NAME: of both NICs
	local tries
	"$sluice" bind 0000:00:03.0 "$1" && "$sluice" bind 0000:00:04.0 "$1" || return
	[[ $1 == e1000e ]] || return 0
	kernel_nic 0000:00:03.0 eth0 && kernel_nic 0000:00:04.0 eth1 || return
	for ((tries = 0; tries < 100; tries++)); do
		[[ $(cat /sys/class/net/eth[01]/carrier | tr -d '\n') != 11 ]] || return 0
		sleep 0.1
	done
	echo 'no carrier'
	return 1
}

trap - ERR # it is nic.py that judges
set +eE
driver e1000e
sysctl -qw vm.nr_hugepages=64 # uio
taskset -p 2 $$ >/dev/null
stty -F /dev/ttyS2 raw -echo
exec 3<>/dev/ttyS2
printf '%%%% 0\n' >&3 # ready
while IFS= read -r command <&3 && [[ $command != end ]]; do
	eval "$command" >/run/said 2>&1 3<&-
	status=$?
	{
		cat /run/said
		printf '\n%%%% %d\n' $status
	} >&3
done
driver e1000e
sysctl -qw vm.nr_hugepages=0
ok 'did what it was told'
