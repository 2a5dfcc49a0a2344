#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# DPDK's testpmd answers pings over a NIC of ours, or of its own that we drive. Either end is killed with -9 twenty times: when it is
# we, packets cross again within a second; when it is DPDK, within a second of its start.
. "$(dirname "$0")/net-lib.sh"
needs_testpmd
namespaces a
tap=tap:name=t0,netns=$a,mac=02:00:00:00:00:0a,addr=10.9.0.1/24
lasting "$a" 02:00:00:00:00:0a
ip -n "$a" neigh replace 10.9.0.2 dev t0 lladdr 02:00:00:00:00:0b

# we_are PORT VDEV [LIMIT]: killed, while testpmd stays. One that listens does not start before somebody was there.
we_are() {
	[[ $2 != *server=1* ]] || run first "$tap" "$1"
	testpmd stays --vdev "$2" -- --forward-mode=icmpecho
	tell stays start
	[[ $2 != *server=1* ]] || kill_it first
	killed "${3:-1.5}" "$sluice" link --stats 0 "$tap" "$1"
	quit stays
	rm -f "$sock"
}

# they_are PORT VDEV: killed, while we stay. Its time to start is its own: a second, or more.
they_are() {
	run stays "$tap" "$1"
	mkfifo "$dir/open"
	exec {hold}<>"$dir/open" # its standard input
	printf 'exec <%q dpdk-testpmd%s\n' "$dir/open" "$(printf ' %q' "${eal[@]}" --file-prefix "killed-$$" --vdev "$2" -- \
		"${pmd[@]}" --forward-mode=icmpecho)" >"$dir/testpmd.sh"
	echo "$2"
	killed 5 bash "$dir/testpmd.sh"
	rm "$dir/open"
	end stays
}

we_are "vhost-user:path=$sock,mode=connect" "net_virtio_user0,path=$sock,server=1,mac=02:00:00:00:00:0b"
we_are "vhost-user:path=$sock,mode=connect" "net_virtio_user0,path=$sock,server=1,packed_vq=1,mac=02:00:00:00:00:0b"
we_are "virtio-user:path=$sock" "net_vhost0,iface=$sock"
we_are "virtio-user:path=$sock,mode=listen,packed=on" "net_vhost0,iface=$sock,client=1" 2.5 # it looks for us once a second
they_are "vhost-user:path=$sock" "net_virtio_user0,path=$sock,mac=02:00:00:00:00:0b"
they_are "virtio-user:path=$sock,mode=listen" "net_vhost0,iface=$sock,client=1"
