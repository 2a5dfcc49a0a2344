#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest moves from one QEMU to another while its NICs, split and packed, carry TCP both ways: each byte of its memory is the
# same in both; the connections go on, with the right content, over other sluice processes at other ports of the switches.
# (A kernel that clears pages before a NIC writes to them hides most of what a NIC forgets to mark.)
# guest: modules virtio_net tun
# guest: programs ip ping nstat ethtool
# guest: python ../netns/echo.py
# guest: files ../netns/lib.sh net-lib.sh
# guest: host net_migrate.py
# guest: append init_on_alloc=0
# guest: memory 320
# guest: seconds 100
# guest: qemu -object memory-backend-memfd,id=m,size=320M,share=on -numa node,memdev=m
# guest: qemu -serial unix:$dir/answers,server=on,wait=off -qmp unix:$dir/qmp,server=on,wait=off
# guest: qemu -chardev socket,id=c0,path=$dir/split.sock,server=on -netdev vhost-user,id=n0,chardev=c0
# guest: qemu -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,vectors=0,romfile=
# guest: qemu -chardev socket,id=c1,path=$dir/packed.sock,server=on -netdev vhost-user,id=n1,chardev=c1,queues=2
# guest: qemu -device virtio-net-pci,netdev=n1,mac=52:54:00:00:01:01,mq=on,vectors=0,packed=on,romfile=
# shellcheck disable=SC2016 # $dir is the host's
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
. "$(dirname "$0")/net-lib.sh"

namespaces a b
settle "$a" 52:54:00:00:00:01 10.9.0.1/24
settle "$b" 52:54:00:00:01:01 10.9.1.1/24
in_ns "$b" ethtool -L eth0 combined 2

streams=()
# stream NS ADDRESS: to there and back, until the guest has moved
stream() {
	"$python" -B "$here/echo.py" tcp "$@" --until "$dir/moved" >"$dir/stream-${#streams[@]}.log" 2>&1 &
	streams+=($!)
	pids+=($!)
}

each() { # COMMAND...: for each NIC, with its namespace and who is at the other end
	"$@" "$a" 10.9.0.2
	"$@" "$b" 10.9.1.2
}

connected() { # NS: both
	[[ $(in_ns "$1" sed -n '/:0007 01 /p' /proc/net/tcp | wc -l) == 2 ]]
}

all_back() { # NS ADDRESS
	in_ns "$1" ping -q -c 20 -i 0.02 -W 2 "$2" >/dev/null
	echoed udp "$1" "$2" --count 500 --size 1000
	no_checksum_errors "$1"
}

each wait_for 'the other end' answers
each stream
each stream
each wait_for 'its connections' connected
sleep 0.5
ask migrate
ok 'the guest has moved, with all of its memory'
sleep 1
touch "$dir/moved"
for pid in "${streams[@]}"; do
	wait "$pid" || fail 'a connection has broken, or its content is wrong'
done
cat "$dir"/stream-*.log
ok 'connections have gone on, with the right content'
ask announced
ask learnt
ok 'the switches have been told by RARP'
each all_back
ok 'ping and UDP: nothing is lost any more'
for name in split packed split2 packed2; do
	ask stop "$name"
done
ok 'all four processes end in order'
back_home
