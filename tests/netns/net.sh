#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A process that is a NIC, joined to an interface, and one that drives it, joined to another: as a cable between the two. ping, TCP
# and UDP, IPv4 and IPv6, both directions; split and packed, several queues, over vhost-user either way round and over uduse.
. "$(dirname "$0")/net-lib.sh"
namespaces a b
left=tap:name=t0,netns=$a,addr=10.9.0.1/24,addr=fd09::1/64
right=tap:name=t0,netns=$b,addr=10.9.0.2/24,addr=fd09::2/64

carries() {
	local end to
	for end in '10.9.0.1 10.9.0.2' 'fd09::1 fd09::2'; do
		read -r from to <<<"$end"
		in_ns "$a" ping -q -c 5 -i 0.02 -W 5 "$to" >/dev/null
		in_ns "$b" ping -q -c 5 -i 0.02 -W 5 "$from" >/dev/null
		traffic tcp "$a" "$b" "$to"
		traffic udp "$a" "$b" "$to" --count 2000 --ordered
		traffic udp "$b" "$a" "$from" --count 2000 --ordered
	done
	no_checksum_errors "$a" "$b"
}

# both NIC DRIVER [LEFT-MORE [RIGHT-MORE]]: the two, with more parameters for their interfaces
both() {
	run nic "$1" "$left${3-}"
	run driver "$2" "$right${4-}"
	joined nic driver
}

cleanly() {
	end driver
	holds 'there.lost() == there.drops("peer-gone") and back.lost() == back.drops("peer-gone")'
	end nic
	holds 'there.lost() == there.drops("peer-gone") and back.lost() == back.drops("peer-gone")'
	[[ ! -e $sock ]] || fail 'the socket is still there'
}

while read -r nic driver; do
	echo "$nic $driver"
	both "${nic/:/:path=$sock,}" "${driver/:/:path=$sock,}"
	carries
	of driver # the larger part of what was sent left as super-packets
	holds 'there.bytes > 1500 * there.packets and not there.cut and not back.cut'
	cleanly
done <<END
vhost-user: virtio-user:
vhost-user: virtio-user:packed=on
vhost-user:packed=off,mac=02:00:00:00:00:09 virtio-user:packed=on
vhost-user:mode=connect virtio-user:mode=listen
vhost-user:queues=2 virtio-user:queues=2
vhost-user:queues=4 virtio-user:queues=2,packed=on
uduse: virtio-user:via=uduse
END

# Several queues with several workers; a queue of each keeps its order, the whole need not.
both "vhost-user:path=$sock,queues=2" "virtio-user:path=$sock,queues=2" ,queues=2 ,queues=2
traffic udp "$a" "$b" 10.9.0.2 --count 4000 --flows 8
traffic udp "$b" "$a" 10.9.0.1 --count 4000 --flows 8
traffic tcp "$a" "$b" 10.9.0.2
cleanly

# Where one end cannot do it, the sender's side cuts.
both "vhost-user:path=$sock" "virtio-user:path=$sock" ,offload=off
carries
of nic
holds 'there.cut > 20'
cleanly

# An MTU that fits, at both ends, with packets that fill it.
both "vhost-user:path=$sock,mtu=9000" "virtio-user:path=$sock" ,mtu=9000 ,mtu=9000
in_ns "$a" ping -q -c 3 -i 0.02 -W 5 -M do -s 8972 10.9.0.2 >/dev/null
in_ns "$b" ping -q -c 3 -i 0.02 -W 5 -M do -s 8972 10.9.0.1 >/dev/null
carries
cleanly
