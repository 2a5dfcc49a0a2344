#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A NIC that is ours, driven by DPDK's virtio-user, and DPDK's NIC, driven by us: frames of every size cross as they are, in both
# directions, none lost, changed or out of order. DPDK reads and writes capture files of its own. No rights are needed.
# shellcheck disable=SC2034 # for lib.sh
unprivileged=1
. "$(dirname "$0")/net-lib.sh"
needs_testpmd
cd "$dir"
"$python" -B "$here/capture.py" make odd.pcap

# fitting MTU: what an Ethernet of that MTU can carry, in.pcap; and in two halves
fitting() {
	"$python" -B - "$(($1 + 14))" <<-END
		import sys; sys.path.insert(0, '$here')
		import capture
		frames = [f for f in capture.read('odd.pcap')[1] if 14 < len(f) <= int(sys.argv[1])]
		for name, some in ('in', frames), ('in-0', frames[::2]), ('in-1', frames[1::2]):
		    capture.write(name + '.pcap', 1, some)
	END
}

packets() {
	"$python" -B -c "import sys; sys.path.insert(0, '$here'); import capture
print(sum(len(capture.read(path)[1]) for path in sys.argv[1:]))" "$@"
}

# arrived IN... OUT...: of what crossed, each file has its part, in order, and all of it. But for a ring of packets at one end: DPDK's
# driver forgets what comes while it starts, and its NIC what it has not looked at when we leave.
arrived() {
	"$python" -B - "$@" <<-END
		import sys; sys.path.insert(0, '$here')
		import capture
		files = {path: capture.read(path)[1] for path in sys.argv[1:] + ['both.pcap']}
		both, crossed = files.pop('both.pcap'), 0
		for path, packets in files.items():
		    own = set(packets)
		    there = [packet for packet in both if packet in own]
		    lost = len(there) - len(packets)
		    assert 0 <= lost <= (256 if path.startswith('out') else 0), f'{path}: {len(packets)} packets of {len(there)}'
		    if there[:len(packets)] != packets:
		        capture.difference(there[lost:], packets)
		    crossed += len(there)
		assert crossed == len(both), f'{len(both)} packets crossed, {crossed} are known'
	END
}

# cross OURS THEIRS [QUEUES [SIZE]]: there what in*.pcap hold, back what gen: makes. A driver that connects is the last to start.
cross() {
	local ours=$1 theirs=$2 queues=${3:-1} ins=(in.pcap) outs=(out.pcap) q files=
	local gen=gen:rate=2k,flows=7,size=${4:-1000}
	echo "$*"
	rm -f "$sock" both.pcap out*.pcap
	((queues == 1)) || ins=(in-0.pcap in-1.pcap) outs=(out-0.pcap out-1.pcap)
	for q in "${!ins[@]}"; do
		files+=,rx_pcap=${ins[q]},tx_pcap=${outs[q]}
	done
	[[ $theirs != net_virtio_user* ]] || run ours --pcap both.pcap "$ours" "$gen"
	testpmd dpdk --vdev "$theirs,queues=$queues" --vdev "net_pcap0$files" -- --rxq="$queues" --txq="$queues"
	[[ $theirs == net_virtio_user* ]] || run ours --pcap both.pcap "$ours" "$gen"
	joined ours
	tell dpdk set fwd io retry # or it drops what a queue has no room for
	tell dpdk set burst tx delay 10 retry 1000000
	tell dpdk start
	of ours
	wait_for 'what gen: makes' reports 'back.packets > 500'
	wait_for 'what they have' reports "there.packets >= $(packets "${ins[@]}")"
	stop
	holds "there.packets == $(packets "${ins[@]}") and not there.lost() and not back.drops('malformed', 'recalled', 'refused')"
	sleep 0.2 # theirs has to look at its ring once more
	quit dpdk
	arrived "${ins[@]}" "${outs[@]}"
}

fitting 1500
for rings in packed_vq=0 packed_vq=1 packed_vq=0,in_order=0 packed_vq=1,in_order=0,mrg_rxbuf=0 packed_vq=0,mrg_rxbuf=0,queue_size=64; do
	cross "vhost-user:path=$sock" "net_virtio_user0,path=$sock,$rings"
done
cross "vhost-user:path=$sock,packed=off,queues=2" "net_virtio_user0,path=$sock" 2 60
cross "virtio-user:path=$sock" "net_vhost0,iface=$sock"
cross "virtio-user:path=$sock,packed=on,queues=2" "net_vhost0,iface=$sock" 2 1514

# Large frames, in several buffers.
fitting 9000
cross "vhost-user:path=$sock,mtu=9000" "net_virtio_user0,path=$sock" 1 9014
