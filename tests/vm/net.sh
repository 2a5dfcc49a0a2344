#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest on NICs that are sluice processes, over QEMU's vhost-user: one with split rings, one with packed ones and two pairs
# of queues. To TAPs of the host, through a tunnel, and to another guest: ping, TCP and UDP whose content is checked.
# guest: modules virtio_net tun
# guest: programs ip ping nstat ethtool
# guest: python ../netns/echo.py
# guest: files ../netns/lib.sh net-lib.sh
# guest: host net_serve.py
# guest: memory 512
# guest: seconds 150
# guest: qemu -object memory-backend-memfd,id=m,size=512M,share=on -numa node,memdev=m
# guest: qemu -serial unix:$dir/answers,server=on,wait=off
# guest: qemu -chardev socket,id=c0,path=$dir/split.sock,server=on -netdev vhost-user,id=n0,chardev=c0
# guest: qemu -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,vectors=0,romfile=
# guest: qemu -chardev socket,id=c1,path=$dir/packed.sock,server=on -netdev vhost-user,id=n1,chardev=c1,queues=2
# guest: qemu -device virtio-net-pci,netdev=n1,mac=52:54:00:00:01:01,mq=on,vectors=0,packed=on,host_mtu=4000,romfile=
# shellcheck disable=SC2016 # $dir is the host's
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
. "$(dirname "$0")/net-lib.sh"
namespaces a b
settle "$a" 52:54:00:00:00:01 10.9.0.1/24 10.9.2.3/24 fd09::1/64 fd09:2::3/64
settle "$b" 52:54:00:00:01:01 10.9.1.1/24 fd09:1::1/64
ask link peer 'vhost-user:path=$dir/peer.sock' null: # without which QEMU would not begin
ask boot

ring_packed() { # NS: feature bit 34
	[[ $(in_ns "$1" cut -c 35 /sys/class/net/eth0/device/features) == 1 ]]
}

offloads() { # NS
	in_ns "$1" ethtool -k eth0 >"$dir/offloads"
	for what in rx-checksumming tx-checksumming tcp-segmentation-offload scatter-gather; do
		grep -q "^$what: on" "$dir/offloads" || fail "no $what: $(cat "$dir/offloads")"
	done
}

# carries WHAT NS IPV4 IPV6: to who is there, and back
carries() {
	in_ns "$2" ping -q -c 5 -i 0.05 -W 5 "$3" >/dev/null
	in_ns "$2" ping -q -c 5 -i 0.05 -W 5 -s 1400 "$4" >/dev/null
	echoed tcp "$2" "$3" --bytes 8000000
	echoed tcp "$2" "$4" --bytes 2000000
	echoed udp "$2" "$3" --count 500 --size 60
	echoed udp "$2" "$4" --count 2000 --gso 1300
	no_checksum_errors "$2"
	ask checksums far
	ok "$1: ping, TCP and UDP"
}

# nothing_lost NAME: but what came before its driver
nothing_lost() {
	ask holds "$1" 'there.lost() == there.drops("peer-gone") and back.lost() == back.drops("peer-gone")'
}

for ns in "$a" "$b"; do
	offloads "$ns"
done
! ring_packed "$a" || fail 'packed rings, unasked'
ring_packed "$b"
ok 'the drivers take checksums, TSO and rings as they are offered'

carries 'split, TAP' "$a" 10.9.0.2 fd09::2
ask ping far 10.9.0.1 1400
"$python" -B "$here/echo.py" serve "$a" >"$dir/echo.log" 2>&1 &
pids+=($!)
wait_for 'the echo' grep -q ready "$dir/echo.log"
ask udp far 10.9.0.1 1000 1300
ask stop split
nothing_lost split
ask holds split 'there.bytes > 2500 * there.packets and back.bytes > 2500 * back.packets and back.cut > 5'
ok 'split, TAP: the host pings; segments travel as one, datagrams are cut, nothing is lost'

in_ns "$b" ethtool -L eth0 combined 2
[[ $(in_ns "$b" cat /sys/class/net/eth0/mtu) == 4000 ]]
carries 'packed, TAP' "$b" 10.9.1.2 fd09:1::2
in_ns "$b" ping -q -c 3 -i 0.05 -W 5 -s 3900 -M "do" 10.9.1.2 >/dev/null
ok 'packed, TAP: packets as long as the MTU'
echoed tcp "$b" 10.9.1.2 --bytes 100000 --flows 16 >"$dir/flows"
grep -q 'came through 2 queues' "$dir/flows" || fail "not through both receive queues: $(cat "$dir/flows")"
in_ns "$b" ethtool -S eth0 >"$dir/queues"
for queue in tx0 tx1; do
	(($(sed -n "s/^ *${queue}_kicks: //p" "$dir/queues") > 5)) || fail "$queue has sent nothing: $(cat "$dir/queues")"
done
ask stop packed
nothing_lost packed
ok 'packed, TAP: both pairs of queues carry packets, nothing is lost'

ask link far 'tunnel:role=server,layer=2,identity=$id_b,peer=$fp_a,local=192.0.2.2:1194,netns=far' \
	'tap:name=t0,netns=far'
ask link split 'vhost-user:path=$dir/split.sock,mode=connect' \
	'tunnel:role=client,layer=2,identity=$id_a,peer=$fp_b,local=192.0.2.1:1194,remote=192.0.2.2:1194,netns=here'
wait_for 'the tunnel' answers "$a" 10.9.0.2
carries 'split, tunnel' "$a" 10.9.0.2 fd09::2
ask stop split
ask stop far
ask holds split 'there.lost() == there.drops("no-session", "too-large") and there.drops("too-large") < 5 and not back.lost()'
ok 'split, tunnel: nothing is lost but what taught the guest the MTU'

ask stop peer
ask link split 'vhost-user:path=$dir/split.sock,mode=connect' 'vhost-user:path=$dir/peer.sock'
wait_for 'the other guest' answers "$a" 10.9.2.1
carries 'split, another guest' "$a" 10.9.2.1 fd09:2::1
ask quiet
ask stop split
nothing_lost split
ok 'split, another guest: nothing is lost'
back_home
