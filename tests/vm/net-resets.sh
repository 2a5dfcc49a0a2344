#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest is killed with -9 twenty times under its NIC, in the middle of streams, and boots again: the NIC goes on with the next.
# guest: modules virtio_net tun
# guest: programs ip ping nstat
# guest: python ../netns/echo.py
# guest: files ../netns/lib.sh net-lib.sh
# guest: host net_serve.py
# guest: memory 512
# guest: seconds 500
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

ask link peer 'vhost-user:path=$dir/peer.sock' 'tap:name=t2,netns=far'
ask boot
for ((n = 1; n <= 20; n++)); do
	ask reset 1 10.9.2.1
done
ask ping far 10.9.2.1 1400
ask stop peer
ok 'killed twenty times, and the NIC goes on with the next guest'
