#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Ethernet frames to and from a stock OpenVPN with --dev-type tap, over IPv6.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities
outer=6 kind=tap

for spec in server,client client,server; do
	stock "$b" "${spec#*,}" --dev-type tap --proto udp6 --local 2001:db8::2 --port 1194 "${roomy[@]}" \
		--remote 2001:db8::1 1194 --ifconfig 10.9.0.2 255.255.255.0 --ifconfig-ipv6 fd09::2/64 fd09::1 \
		--tun-mtu 1400
	mtu=1400
	end a "${spec%,*}"
	connected "$a" 10.9.0.2
	connected "$b" fd09::1
	traffic tcp "$a" "$b" 10.9.0.2
	traffic udp "$b" "$a" fd09::1 --ordered
	traffic udp "$a" "$b" 10.9.0.2 --size 3000
	no_checksum_errors "$a" "$b"
	stop
	holds 'there.drops() == there.drops("no-session", "source") and back.drops() == back.drops("no-session", "source")'
	stock_end
	! grep -Ei 'error|decrypt|replay|inconsistent' "$stock_log" | grep -v ECONNREFUSED || fail 'OpenVPN complains'
done
