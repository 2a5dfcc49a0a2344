#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A session of two stock OpenVPNs, recorded with its keys: our data channel must find inside each packet on the
# wire, bit for bit, what its sender's kernel gave to OpenVPN. In the whole session no sluice takes part.
# usage: vectors.sh SLUICE RECORD_EXPORTER REPLAY_SESSION
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
recorder=$(realpath "$2") replay=$(realpath "$3")
command -v tcpdump >/dev/null || skip "no tcpdump"
namespaces a b
wire "$a" "$b"
identities

# What the test sends. The kernels also speak by themselves, before we can listen.
ours='udp or tcp or icmp or (icmp6 and (ip6[40] == 128 or ip6[40] == 129))'

session() { # CIPHER: files $a.pcap, $b.pcap of what each end sent, wire.pcap and keys
	local upper=${1^^} logs=() ends=() watchers=() end other role peer
	rm -f "$dir"/keys "$dir"/*.pcap
	watch_if "$a" w0 "$dir/wire.pcap" udp port 1194
	watchers+=("$watcher")
	for end in 1 2; do
		other=$((3 - end)) role=client peer=$a
		((end == 1)) || role=server peer=$b
		stock_env=()
		((end == 2)) || stock_env=("LD_PRELOAD=$recorder" "SLT_EXPORTER=$dir/keys")
		stock "$peer" $role --local 192.0.2.$end --remote 192.0.2.$other --port 1194 --proto udp4 \
			--data-ciphers "$upper" --mssfix 0 --tun-mtu 1440 --ping 1 --ping-restart 60 \
			--ifconfig 10.9.0.$end 10.9.0.$other --ifconfig-ipv6 fd09::$end/64 fd09::$other
		logs+=("$stock_log") ends+=("$stock")
	done
	for end in 0 1; do
		stock_up "${logs[end]}"
		grep -q "Data Channel: cipher '$upper'" "${logs[end]}"
	done
	watch_if "$a" o0 "$dir/a.pcap" -Q out
	watchers+=("$watcher")
	watch_if "$b" o0 "$dir/b.pcap" -Q out
	watchers+=("$watcher")
	speak
	watch_end "${watchers[1]}" "$dir/a.pcap"
	watch_end "${watchers[2]}" "$dir/b.pcap"
	for end in "${ends[@]}"; do
		stock_end "$end"
	done
	in_ns "$a" bash -c 'echo markermarker >/dev/udp/192.0.2.2/1194'
	watch_end "${watchers[0]}" "$dir/wire.pcap"
}

speak() {
	local address
	connected "$a" 10.9.0.2
	connected "$b" 10.9.0.1
	for address in 10.9.0.2 fd09::2; do
		traffic tcp "$a" "$b" "$address" --bytes 100000
		for size in 0 1 7 8 15 16 17 100 1000 1392; do
			in_ns "$a" ping -q -c 1 -W 5 -s $size -p c0ffee "$address" >"$dir/ping.out"
		done
		traffic udp "$a" "$b" "$address" --count 500 --size 1200
		traffic udp "$b" "$a" "${address/%2/1}" --count 500 --size 37
	done
	in_ns "$a" ping -q -c 1 -W 5 -s 64 -p 6d61726b6572 10.9.0.2 >"$dir/ping.out" # "marker"
}

# opened CIPHER DIRECTION ADDRESS END: what END has sent from ADDRESS, against what its kernel gave it.
opened() {
	"$replay" "$1" "$2" "$dir/keys" "$dir/wire.pcap" "$3" "$dir/inner.pcap"
	tcpdump -r "$dir/inner.pcap" -w "$dir/inner-ours.pcap" "$ours" 2>"$dir/filter.log"
	tcpdump -r "$dir/$4.pcap" -w "$dir/sent-ours.pcap" "$ours" 2>"$dir/filter.log"
	capture same "$dir/inner-ours.pcap" "$dir/sent-ours.pcap"
	(($(capture check "$dir/inner-ours.pcap" 101 1500) > 1000)) || fail "$1: few packets from $4"
}

for cipher in aes-256-gcm chacha20-poly1305; do
	session $cipher
	opened $cipher 1 192.0.2.1 a
	opened $cipher 0 192.0.2.2 b
done
