#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ping, TCP and UDP through a tunnel between two sluices: both directions, IPv4 and IPv6 inside and outside,
# packets and frames, both ciphers, one and two workers. Nothing of it is to be read on the wire.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
command -v tcpdump >/dev/null || skip "no tcpdump"
namespaces a b
wire "$a" "$b"
identities

carry() { # ADDRESS-OF-A ADDRESS-OF-B
	connected "$a" "$2"
	in_ns "$a" ping -q -c 5 -i 0.02 -W 5 "$2" >/dev/null
	in_ns "$b" ping -q -c 5 -i 0.02 -W 5 "$1" >/dev/null
	traffic tcp "$a" "$b" "$2"
	traffic udp "$a" "$b" "$2" --ordered
	traffic udp "$b" "$a" "$1" --ordered --size 100
}

secret() { # an echo request full of it; the last one ends the capture of the inside
	in_ns "$a" ping -q -c 1 -W 5 -s 400 -p 736563726574 10.9.0.2 >/dev/null
	in_ns "$a" ping -q -c 1 -W 5 -s 64 -p 6d61726b6572 10.9.0.2 >/dev/null
}

# The wire's own marker goes to a port that is not the tunnel's.
wire_marker() {
	local to=192.0.2.2
	((outer == 4)) || to=2001:db8::2
	in_ns "$a" bash -c "echo markermarker >/dev/udp/$to/9"
}

for spec in tun,4,aes-256-gcm,1,openssl tun,6,chacha20-poly1305,2,openssl tap,4,chacha20-poly1305,1 tap,6,aes-256-gcm,2; do
	IFS=, read -r kind outer cipher workers aead <<<"$spec"
	extra=(-v --workers "$workers")
	watch_if "$a" w0 "$dir/wire-$kind.pcap" udp
	outside=$watcher
	end a server "cipher=$cipher${aead:+,aead=$aead}"
	end b client "cipher=$cipher"
	connected "$b" 10.9.0.1
	says b "data channel ${cipher^^}"
	says a "${aead:-openssl|ipsec-mb} encrypts"
	watch_if "$b" t0 "$dir/inside-$kind.pcap" icmp
	secret
	watch_end "$watcher" "$dir/inside-$kind.pcap"
	wire_marker
	watch_end "$outside" "$dir/wire-$kind.pcap"
	grep -qa secretsecret "$dir/inside-$kind.pcap" || fail 'the inside does not hold the secret'
	! grep -qaE 'secretsecret|secrets' "$dir/wire-$kind.pcap" || fail 'the secret is on the wire'
	eval "$("$python" -B "$here/wire.py" count "$dir/wire-$kind.pcap")"
	((data >= 4 && control >= 4 && reset_client > 0 && reset_server > 0)) || fail "on the wire: data=$data control=$control"
	carry 10.9.0.1 10.9.0.2
	carry fd09::1 fd09::2
	no_checksum_errors "$a" "$b"
	stop_ends
	for end in a b; do
		of $end
		holds 'there.drops() == there.drops("no-session", "source") and back.drops() == 0'
		holds 'there.packets > 100 and there.bytes > 8000000 and back.bytes > 8000000'
		holds 'there.drops("no-session") < 100'
	done
done
