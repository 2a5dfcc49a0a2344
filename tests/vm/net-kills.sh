#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Under a guest, the process that is its NIC is killed twenty times in the middle of a TCP stream whose content is checked,
# split and packed; told to end, and started again. And a guest is killed under its NIC, which goes on with the next.
# guest: modules virtio_net tun
# guest: programs ip ping nstat
# guest: python ../netns/echo.py
# guest: files ../netns/lib.sh net-lib.sh
# guest: host net_serve.py
# guest: memory 512
# guest: seconds 200
# guest: qemu -object memory-backend-memfd,id=m,size=512M,share=on -numa node,memdev=m
# guest: qemu -serial unix:$dir/answers,server=on,wait=off
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

# Else it forgets who is at the other end when the link goes down, and a second goes by until it asks again.
ip -n "$a" neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
ip -n "$b" neigh add 10.9.1.2 lladdr 02:00:00:00:01:01 dev eth0 nud permanent

# kills NAME NS ADDRESS
kills() {
	"$python" -B "$here/echo.py" serve "$2" >"$dir/$1.log" 2>&1 &
	pids+=($!)
	wait_for 'the echo' grep -q ready "$dir/$1.log"
	ask outages kill "$1" "$3" 20 5
	ok "$1: killed twenty times: traffic returns each time, and the stream has arrived as it was sent"
	ask outages end "$1" "$3" 3 5
	ask stop "$1"
	ok "$1: told to end three times in the middle of a stream, and started again"
}

kills split "$a" 10.9.0.1
kills packed "$b" 10.9.1.1

ask link peer 'vhost-user:path=$dir/peer.sock' 'tap:name=t2,netns=far'
ask boot
ask reset 2 10.9.2.1
ask ping far 10.9.2.1 1400
ask stop peer
ok 'a guest is killed twice, and the NIC goes on with the next'
back_home
