#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A virtio NIC driven by sluice, joined to a TAP; the kernel has another NIC on the same hub. Over vfio with MSI-X, and over
# uio_pci_generic with INTx and packets that are copied.
# guest: modules vfio_iommu_type1 vfio-pci uio_pci_generic tun e1000e
# guest: programs ip ping nstat
# guest: python ../netns/traffic.py ../netns/report.py
# guest: files ../netns/lib.sh
# guest: qemu -device intel-iommu,intremap=on,device-iotlb=on
# guest: qemu -netdev hubport,id=n0,hubid=0 -netdev hubport,id=n1,hubid=0
# guest: qemu -device virtio-net-pci,netdev=n0,addr=4,mac=52:54:00:00:00:04,disable-legacy=on,iommu_platform=on,ats=on,romfile=
# guest: qemu -device e1000e,netdev=n1,addr=5,mac=52:54:00:00:00:05,romfile=
# guest: append iommu=pt no_timer_check
# guest: seconds 180
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
at=0000:00:04.0
has_carrier() {
	ip -n "$b" link show dev "$nic" | grep -q LOWER_UP
}

namespaces a b
nic=$(basename /sys/bus/pci/devices/0000:00:05.0/net/*)
ip link set "$nic" netns "$b"
ip -n "$b" addr add 10.9.0.2/24 dev "$nic"
ip -n "$b" link set "$nic" up
wait_for 'the link of the other NIC' has_carrier

echo 16 >/proc/sys/vm/nr_hugepages
for driver in vfio-pci uio_pci_generic; do
	"$sluice" bind "$at" "$driver"
	start -v "pci:$at" "tap:name=t0,netns=$a,mac=52:54:00:00:00:04,addr=10.9.0.1/24"
	in_ns "$a" ping -q -c 3 -i 0.1 -W 5 10.9.0.2 >/dev/null
	in_ns "$b" ping -q -c 3 -i 0.1 -W 5 -s 1472 10.9.0.1 >/dev/null
	ok "$driver: ping"
	traffic tcp "$a" "$b" 10.9.0.2
	traffic tcp "$b" "$a" 10.9.0.1
	traffic udp "$a" "$b" 10.9.0.2 --gso 1400 --count 500
	no_checksum_errors "$a" "$b"
	ok "$driver: TCP, and UDP that is to be cut"
	stop
	holds 'not there.lost() and not back.lost()'
	if [[ $driver == vfio-pci ]]; then
		holds 'there.copied == 0 and back.copied == 0'
		ok "$driver: nothing lost, nothing copied"
	else
		holds 'there.copied == 0 and back.copied > 1000'
		ok "$driver: nothing lost; what is sent is copied"
	fi
	start "pci:$at,promisc=on" "tap:name=t0,netns=$a,mac=52:54:00:00:00:99,addr=10.9.0.1/24"
	in_ns "$a" ping -q -c 3 -i 0.1 -W 5 10.9.0.2 >/dev/null
	stop
	ok "$driver: packets for another address, after a command on the control queue"
	"$sluice" unbind "$at" --restore >/dev/null
done

# Somebody wants the device back while packets go both ways.
"$sluice" bind "$at" vfio-pci
start "pci:$at" "tap:name=t0,netns=$a,mac=52:54:00:00:00:04,addr=10.9.0.1/24"
in_ns "$a" ping -q -f -w 4 -s 1000 10.9.0.2 >/dev/null &
flood=$!
sleep 0.5
timeout 10 "$sluice" unbind "$at" --restore
grep 'port pci is gone' "$log"
wait "$flood" || true # nobody answers any more
stop
ok 'it is given back when the kernel asks for it'
ip -n "$b" link set "$nic" netns 1
echo 0 >/proc/sys/vm/nr_hugepages
