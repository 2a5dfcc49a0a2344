#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The kernel's own NIC is a sluice process, by VDUSE: ping, TCP and UDP with all offloads; killed twenty times in the middle of
# a TCP stream whose content is checked; told to end, it is gone. And what is said when it may not be.
# guest: kernels 6.12
# guest: modules virtio_net vduse virtio_vdpa tun
# guest: programs ip ping nstat ethtool setpriv
# guest: python ../netns/traffic.py ../netns/report.py ../netns/echo.py ../netns/outages.py
# guest: files ../netns/lib.sh
# guest: memory 1024
# guest: seconds 200
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
namespaces a b
mac=52:54:00:00:00:01
nic="vduse:name=n0,attach=on,mac=$mac"
tap="tap:name=t0,netns=$a" # which outlives who is killed
ip -n "$a" tuntap add dev t0 mode tap
ip -n "$a" link set t0 address 02:00:00:00:00:01
ip -n "$a" addr add 10.9.0.1/24 dev t0
ip -n "$a" addr add fd09::1/64 dev t0
ip -n "$a" neigh add 10.9.0.2 lladdr $mac dev t0 nud permanent

interface() { # what the kernel calls the NIC
	local nic
	for nic in /sys/bus/vdpa/devices/n0/virtio*/net/*; do
		[[ ! -e $nic ]] || basename "$nic"
	done
}

has_nic() {
	[[ -n $(interface) ]]
}

# The kernel's NIC goes to b, and is e0 there.
settle() {
	wait_for 'a NIC' has_nic
	ip link set "$(interface)" netns "$b" name e0
	ip -n "$b" addr add 10.9.0.2/24 dev e0
	ip -n "$b" addr add fd09::2/64 dev e0
	ip -n "$b" link set e0 up
}

nothing_left() {
	[[ ! -e /dev/vduse/n0 && ! -e /sys/bus/vdpa/devices/n0 ]] || fail 'the device is still there'
	! ip -n "$b" link show e0 2>/dev/null || fail 'the NIC is still there'
}

start -v "$nic" "$tap"
settle
[[ $(in_ns "$b" cat /sys/class/net/e0/address) == "$mac" ]]
in_ns "$b" ethtool -K e0 tx-udp-segmentation on
in_ns "$b" ethtool -k e0 >"$dir/offloads"
for what in rx-checksumming tx-checksumming tcp-segmentation-offload tx-udp-segmentation; do
	grep -Eq "^	?$what: on" "$dir/offloads" || fail "no $what: $(cat "$dir/offloads")"
done
ok 'the kernel has a NIC, with our address and all offloads'
in_ns "$a" ping -q -c 5 -i 0.05 -W 5 10.9.0.2 >/dev/null
in_ns "$b" ping -q -c 5 -i 0.05 -W 5 -s 1400 fd09::1 >/dev/null
traffic tcp "$a" "$b" 10.9.0.2
traffic tcp "$b" "$a" fd09::1 --bytes 2000000
traffic udp "$a" "$b" fd09::2 --gso 1400 --count 2000 --ordered
traffic udp "$b" "$a" 10.9.0.1 --gso 333 --count 2000 --ordered
traffic udp "$b" "$a" 10.9.0.1 --size 60 --count 500 --ordered
no_checksum_errors "$a" "$b"
stop
nothing_left
holds 'not there.lost() and back.lost() == back.drops("peer-gone") and not there.cut and not back.cut'
holds 'there.bytes > 2000 * there.packets and back.bytes > 2000 * back.packets'
ok 'ping, TCP and UDP; nothing cut, nothing lost, nothing left behind'

"$python" -B "$here/echo.py" serve "$b" >"$dir/echo.log" 2>&1 &
pids+=($!)
"$python" -B "$here/outages.py" "$a" 10.9.0.2 20 5 "$dir/n0" "$sluice" link -v --stats 0 "$nic" "$tap" &
kills=$!
pids+=("$kills")
settle
wait "$kills"
nothing_left
ok 'killed twenty times: traffic returns each time, and the stream has arrived as it was sent'

# Who may not make a network device is told so.
refused 2 CAP_NET_ADMIN "$(type -P setpriv)" --bounding-set -net_admin --inh-caps -net_admin "$sluice" link "$nic" null:
ok 'what it needs is said'
