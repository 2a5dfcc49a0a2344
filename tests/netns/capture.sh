#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# --pcap: what crosses a live link, both directions, as it is handed to the port it goes to.
. "$(dirname "$0")/lib.sh"
namespaces a b
cd "$dir"

for spec in tap,1,on,on,1 tap,1,on,off,2 tun,101,off,off,4 tun,101,on,off,1; do
	IFS=, read -r kind linktype left right workers <<<"$spec"
	start --pcap live.pcap --workers "$workers" \
		"$kind:name=t0,netns=$a,offload=$left,addr=10.9.0.1/24,addr=fd09::1/64" \
		"$kind:name=t0,netns=$b,offload=$right,addr=10.9.0.2/24,addr=fd09::2/64"
	traffic udp "$a" "$b" 10.9.0.2 --count 500 --size 700
	traffic udp "$b" "$a" fd09::1 --count 300 --size 900
	traffic udp "$a" "$b" fd09::2 --gso 1200 --count 300
	traffic tcp "$a" "$b" 10.9.0.2 --bytes 1000000
	stop
	holds 'not there.lost() and not back.lost()'
	# With offload=on packets are handed over without checksum, and larger than a wire would take.
	if [[ $left,$right == off,off ]]; then
		packets=$(capture check live.pcap "$linktype" 1514)
	else
		packets=$("$python" -B -c "import sys; sys.path.insert(0, '$here'); import capture
linktype, packets = capture.read('live.pcap')
assert linktype == $linktype
to_right = [p for p in packets if b'\x0a\x09\0\x01\x0a\x09\0\x02' in p[:40]]
assert '$right' == 'on' or max(map(len, to_right)) <= 1514, 'super-packets for a port that takes none'
print(len(packets))")
	fi
	[[ $packets == "$(value 'there.packets + back.packets')" ]] ||
		fail "$packets packets in the capture, $(value 'there.packets + back.packets') delivered"
done

# What a direction counts is what the file holds, also when it ends at once.
"$sluice" link --pcap gen.pcap --workers 2 gen:count=5000,flows=3,size=100 null: >/dev/null
[[ $(capture check gen.pcap 1 100) == 5000 ]]
