#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A NIC, or its driver, is killed with -9 twenty times and started again at once: each time packets cross again within a second, with
# nothing done at the other end. Over vhost-user, split and packed, over uduse, and with DPDK at the other end.
. "$(dirname "$0")/net-lib.sh"
namespaces a b
left=tap:name=t0,netns=$a,mac=02:00:00:00:00:0a,addr=10.9.0.1/24
right=tap:name=t0,netns=$b,mac=02:00:00:00:00:0b,addr=10.9.0.2/24

lasting "$a" 02:00:00:00:00:0a
lasting "$b" 02:00:00:00:00:0b
ip -n "$a" neigh replace 10.9.0.2 dev t0 lladdr 02:00:00:00:00:0b
ip -n "$b" neigh replace 10.9.0.1 dev t0 lladdr 02:00:00:00:00:0a

# Who stays, and who is killed, each way round; with room for a machine that has other things to do.
each() { # NIC DRIVER
	run stays "$2" "$right"
	killed 1.5 "$sluice" link --stats 0 "$1" "$left"
	end stays
	run stays "$1" "$right"
	killed 1.5 "$sluice" link --stats 0 "$2" "$left"
	end stays
	rm -f "$sock"
}

each "vhost-user:path=$sock" "virtio-user:path=$sock"
each "vhost-user:path=$sock" "virtio-user:path=$sock,packed=on"
each "uduse:path=$sock" "virtio-user:path=$sock,via=uduse"
