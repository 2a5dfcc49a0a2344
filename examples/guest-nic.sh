#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What `make run-vm` shows, in a guest with Debian's kernel: an e1000e that no driver of the kernel has, driven by sluice over
# VFIO, and joined to a TAP interface. The other end of its wire is a NIC of the kernel's, in a network namespace.
# guest: modules vfio_iommu_type1 vfio-pci e1000e virtio_net tun
# guest: programs ip ping
# guest: qemu -device intel-iommu,intremap=on
# guest: qemu -netdev hubport,id=h0,hubid=0 -device e1000e,netdev=h0,addr=3,romfile=,mac=02:00:00:00:00:03
# guest: qemu -netdev hubport,id=h1,hubid=0 -device virtio-net-pci,netdev=h1,addr=4,romfile=,mac=02:00:00:00:00:04
. "$(dirname "$0")/../tests/vm/guest.sh"
sluice=$1 nic=${nic-0000:00:03.0} driver=${driver-vfio-pci}

say() {
	echo
	echo "\$ ${*/#"$sluice"/sluice}"
	"$@"
}

for link in /sys/bus/pci/devices/0000:00:04.0/virtio*/net/*; do
	far=${link##*/}
done
ip netns add far
ip link set "$far" netns far
ip -n far addr add 10.9.0.2/24 dev "$far"
ip -n far link set "$far" up

say "$sluice" bind "$nic" "$driver"
say "$sluice" devices
echo
echo "\$ sluice link pci:$nic,promisc=on tap:name=t0,addr=10.9.0.1/24 &"
"$sluice" link "pci:$nic,promisc=on" tap:name=t0,addr=10.9.0.1/24 >/run/link 2>&1 &
link=$!
for _ in {1..50}; do
	! ip route get 10.9.0.2 >/dev/null 2>&1 || break
	sleep 0.1
done
say ping -c 5 -i 0.2 -W 5 10.9.0.2
say grep -E "CPU0|${driver%-pci}" /proc/interrupts
kill -INT "$link"
wait "$link" || true
cat /run/link
ok 'the NIC is driven from user space, and the kernel hears from it'
ip netns del far
say "$sluice" unbind "$nic" --restore
