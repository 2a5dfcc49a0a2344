#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# pcap: carries packets to and from files byte by byte; files that are no good get a clear message.
. "$(dirname "$0")/lib.sh"
namespaces a b
silence "$a" "$b"
cd "$dir"

copy() {
	timeout 20 "$sluice" link --json "$@" >copy.json
	report=copy.json
	"$python" -B "$here/report.py" --check copy.json
}

on_disk() { # FILE PACKETS
	[[ $(capture check "$1" 1 2>/dev/null) == "$2" ]]
}

# From a file, or from gen:, into a file, and on into another one.
capture make odd.pcap
copy pcap:read=odd.pcap pcap:write=copy.pcap
capture same odd.pcap copy.pcap
holds 'there.packets == 193 and there.drops() == 0'
for gen in size=64,count=3000,flows=7 size=1514,count=100 size=65549,count=20,rate=1k; do
	copy "gen:$gen" pcap:write=one.pcap
	holds 'there.drops() == 0'
	[[ $(capture check one.pcap 1) == "$(value there.packets)" ]]
	copy --workers 2 pcap:write=two.pcap pcap:read=one.pcap
	capture same one.pcap two.pcap
done
copy 'gen:count=5' 'pcap:write=with\,comma.pcap'
[[ $(capture check with,comma.pcap 1) == 5 ]]

# A file replayed into an interface: what the kernel receives there.
ip -n "$a" tuntap add t0 mode tap
ip -n "$a" link set t0 up
capture watch "$a" t0 odd.pcap "$sluice" link --stats 0 pcap:read=odd.pcap "tap:name=t0,netns=$a,mtu=65521" >/dev/null

# Frames from an interface into a file, the largest ones with a VLAN tag.
"$python" -B - odd.pcap sent.pcap <<-END
	import sys; sys.path.insert(0, '$here')
	import capture
	frames = [f for f in capture.read(sys.argv[1])[1] if 14 < len(f) <= 1514]
	frames += [f[:12] + b'\x81\0\0\5' + f[12:] for f in frames if len(f) == 1514]
	capture.write(sys.argv[2], 1, frames)
END
for offload in on off; do
	start "tap:name=u0,netns=$a,offload=$offload" pcap:write=got.pcap
	capture inject "$a" u0 sent.pcap
	wait_for 'the frames' reports 'there.packets == 188'
	stop
	capture same sent.pcap got.pcap
done

# IP packets: a file of them is replayed only to those who carry IP.
start "tun:name=t0,netns=$b,addr=10.9.0.1/24" pcap:write=raw.pcap
in_ns "$b" ping -q -c 3 -i 0.01 -W 0.1 10.9.0.2 >/dev/null || true
traffic udp "$b" "$b" 10.9.0.2 --count 20 --size 600 --window 0 --lossy >/dev/null
wait_for 'the packets' reports 'there.packets == 23'
stop
[[ $(capture check raw.pcap 101 1500) == 23 ]]
copy pcap:read=raw.pcap pcap:write=raw2.pcap
capture same raw.pcap raw2.pcap
copy pcap:read=raw.pcap "tun:name=t0,netns=$b"
holds 'there.packets == 23 and there.drops() == 0'
refused 2 'Ethernet.*IP|IP.*Ethernet' "$sluice" link pcap:read=raw.pcap "tap:name=t0,netns=$b"

# While the link is idle, what was written is on disk.
start "tap:name=u0,netns=$a" pcap:write=live.pcap
for count in 188 376; do
	capture inject "$a" u0 sent.pcap
	wait_for 'the frames on disk' on_disk live.pcap $count
done
alive || fail 'it was only written at the end'
stop

# Through the cutter: a wire's packets, with right checksums, and exactly those.
start "tap:name=u0,netns=$a" pcap:write=cut.pcap
capture super "$a" u0 segments.pcap
wait_for 'the segments' reports 'there.cut == 12'
stop
holds 'there.drops() == 0'
capture check cut.pcap 1 1514
capture same segments.pcap cut.pcap

# No good: cut short, damaged, of another kind, not there, with packets cut short.
head -c 1000 one.pcap >short.pcap
refused 1 'short\.pcap: truncated dump file' "$sluice" link pcap:read=short.pcap null:
head -c 10 one.pcap >stub.pcap
refused 2 'cannot read the capture stub\.pcap' "$sluice" link pcap:read=stub.pcap null:
: >empty.pcap
refused 2 'cannot read the capture empty\.pcap' "$sluice" link pcap:read=empty.pcap null:
head -c 4096 /dev/urandom >noise.pcap
printf 'GIF8' | dd of=noise.pcap conv=notrunc status=none
refused 2 'noise\.pcap.*unknown file format' "$sluice" link pcap:read=noise.pcap null:
{ head -c 32 one.pcap; printf '\377\377\377\177\377\377\377\177'; head -c 4096 /dev/urandom; } >damaged.pcap
refused 1 'damaged\.pcap: ' "$sluice" link pcap:read=damaged.pcap null:
{ head -c 20 one.pcap; printf '\161\0\0\0'; } >cooked.pcap
refused 2 'cooked\.pcap holds .*neither Ethernet nor raw IP' "$sluice" link pcap:read=cooked.pcap null:
refused 2 'nowhere\.pcap: No such file' "$sluice" link pcap:read=nowhere.pcap null:
refused 2 'cannot write.*nowhere' "$sluice" link gen:count=1 pcap:write=nowhere/x.pcap
refused 2 'is not a file' "$sluice" link pcap:read=. null:
{ head -c 24 one.pcap; printf '\0\0\0\0\0\0\0\0\20\0\0\0\100\0\0\0'; head -c 16 /dev/zero; } >snapped.pcap
copy pcap:read=snapped.pcap null:
holds 'there.packets == 0 and there.drops("truncated") == 1'

# Pipes are refused at once, not waited for: with nobody at the other end, with somebody, and on "-".
mkfifo pipe
at_once() { # REGEX WORD...
	refused 2 "$1" timeout -s KILL 5 "$sluice" link "${@:2}"
}
pipes() {
	at_once 'cannot read the capture pipe: it is not a file' pcap:read=pipe null:
	at_once 'cannot write a capture to pipe: it is a pipe' gen:count=1 pcap:write=pipe
	at_once 'cannot write a capture to pipe: it is a pipe' --pcap pipe gen:count=1 null:
}
pipes
exec {both}<>pipe
pipes
exec {both}>&-
# shellcheck disable=SC2016 # it is that shell's
for words in 'pcap:read=- null:' 'gen:count=1 pcap:write=-' '--pcap - gen:count=1 null:'; do
	refused 2 'cannot (read the capture -: it is not a file|write a capture to -: it is a pipe)' \
		bash -c 'set -o pipefail; sleep 0.1 | timeout -s KILL 5 "$@" | cat' - "$sluice" link $words
done

# The disk is full, noticed at once or only at the end.
for count in 1 5000; do
	refused 1 'cannot write /dev/full: No space left' "$sluice" link gen:count=$count pcap:write=/dev/full
	refused 1 'capture /dev/full is not complete' "$sluice" link --pcap /dev/full gen:count=$count null:
done
refused 1 'No space left' bash -c '"$1" link --duration 0.1 gen:rate=1 null: >/dev/full' - "$sluice"
