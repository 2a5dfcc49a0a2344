#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A NIC driven by sluice link, over VFIO and over UIO: ping and bulk between its TAP and the kernel's own NIC at the other
# end of the cable; killed and started anew; two NICs joined; unbound and unplugged under traffic.
# guest: modules vfio-pci vfio_iommu_type1 uio_pci_generic e1000e virtio_pci virtio_net tun
# guest: programs ip ping nstat
# guest: python ../netns/traffic.py ../netns/report.py
# guest: files ../netns/lib.sh pci.sh
# guest: memory 1024
# guest: machine q35,kernel-irqchip=split
# guest: append iommu=pt
# guest: qemu -device intel-iommu,intremap=on
# guest: qemu -netdev hubport,id=h1,hubid=0 -netdev hubport,id=h2,hubid=0 -netdev hubport,id=h3,hubid=1 -netdev hubport,id=h4,hubid=1
# guest: qemu -device pcie-root-port,id=root,addr=3 -device e1000e,id=plug,bus=root,netdev=h1,romfile=
# guest: qemu -device e1000e,addr=4,netdev=h2,romfile= -device e1000e,addr=5,netdev=h3,romfile=
# guest: qemu -device virtio-net-pci,addr=6,netdev=h4,romfile=
# guest: qemu -qmp unix:$dir/qmp,server=on,wait=off
# guest: host qmp.py
# guest: seconds 240
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
. "$(dirname "$0")/pci.sh"
# first and second are driven here; beside each, at the other end of its cable, is one that the kernel drives
first=0000:01:00.0 beside_first=0000:00:04.0 second=0000:00:05.0 beside_second=0000:00:06.0
namespaces a b c

# The kernel's interface of a NIC.
interface_of() { # ADDRESS
	find "$devices/$1/" -path '*/net/*' -prune | sed 's|.*/||'
}

settle() { # INTERFACE NS IP IP6
	ip link set "$1" netns "$2"
	ip -n "$2" addr add "$3/24" dev "$1"
	ip -n "$2" addr add "$4/64" dev "$1"
	ip -n "$2" link set "$1" up
}
nic_b=$(interface_of $beside_first) nic_c=$(interface_of $beside_second)
settle "$nic_b" "$b" 10.9.0.2 fd09::2
settle "$nic_c" "$c" 10.9.0.3 fd09::3
tap="tap:name=t0,netns=$a,mac=02:00:00:00:00:01,addr=10.9.0.1/24,addr=fd09::1/64"

# A link comes up when the NIC's carrier does.
answers() { # NS ADDRESS
	in_ns "$1" ping -q -c 1 -W 1 "$2" >/dev/null 2>&1
}

# carries WHAT FROM TO ADDRESS ADDRESS: to whose, and back
carries() {
	until_so answers "$2" "$4"
	in_ns "$2" ping -q -c 5 -i 0.1 -W 5 "$4" >/dev/null
	in_ns "$3" ping -q -c 5 -i 0.1 -W 5 -s 1400 "$5" >/dev/null
	ok "$1: ping"
	traffic tcp "$2" "$3" "$4" --bytes 1000000
	traffic udp "$2" "$3" "$4" --count 1000 --size 1400 --window 32 --ordered
	traffic udp "$3" "$2" "$5" --count 1000 --size 60 --window 32 --ordered
	ok "$1: TCP and UDP"
}

nothing_lost() { # WHAT
	stop
	holds 'not there.lost() and not back.lost()'
	ok "$1: nothing lost"
}

unbind() {
	"$sluice" unbind "$1" >/dev/null
}

unplug() {
	qmp device_del '{"id": "plug"}'
	until_so test ! -e "$devices/$1"
}

# What was unplugged is plugged in again: the kernel's driver takes it.
plug() {
	plug_in "$1" '{"driver": "e1000e", "id": "plug", "bus": "root", "netdev": "h1", "romfile": ""}'
	until_so test -e "$devices/$1/driver"
}

echo 64 >/proc/sys/vm/nr_hugepages
declare -A drivers=([vfio]=vfio-pci [uio]=uio_pci_generic [uio_msix]=uio_msix)
for way in ${ways:-vfio uio}; do # uio_msix-link.sh has another one
	driver=${drivers[$way]}
	take $driver $first $second
	nic="pci:$first,via=$way,promisc=on"

	start -v "$nic" "$tap"
	carries "$way and TAP" "$a" "$b" 10.9.0.2 fd09::1
	no_checksum_errors "$a" "$b"
	nothing_lost "$way and TAP"

	start "$nic" "$tap"
	until_so answers "$a" 10.9.0.2
	sleep 0.2 # QEMU aborts when MSI-X is turned off within 128 µs of an interrupt
	kill -KILL "$link"
	wait "$link" 2>/dev/null || true
	start "$nic" "$tap"
	until_so answers "$a" 10.9.0.2
	ok "$way: killed, the next one goes on"
	stop

	start "$nic" "pci:$second,via=$way,promisc=on"
	carries "$way, two NICs" "$b" "$c" 10.9.0.3 fd09::2
	no_checksum_errors "$b" "$c"
	nothing_lost "$way, two NICs"

	for how in unbind unplug; do
		start -v "$nic" "$tap"
		until_so answers "$b" 10.9.0.1
		ip netns exec "$b" ping -q -i 0.002 -s 1400 10.9.0.1 >/dev/null &
		pinging=$!
		pids+=("$pinging")
		$how $first
		until_so reports 'there.gone or back.gone'
		grep -E "$first.*(taken|gone|does not answer)" "$log" || fail "$way, $how: no word about it: $(cat "$log")"
		is_up "$a" t0 || fail "$way, $how: the TAP has gone too"
		kill -TERM "$pinging"
		wait "$pinging" || true
		stop
		[[ $how == unbind ]] || plug $first
		take $driver $first
		start "$nic" "$tap"
		until_so answers "$b" 10.9.0.1
		stop
		ok "$way: $how under traffic; the other port goes on; then it works again"
	done
done
# They go home before those that are given back take names.
ip -n "$b" link set "$nic_b" netns 1
ip -n "$c" link set "$nic_c" netns 1
give_back $first $second
echo 0 >/proc/sys/vm/nr_hugepages
