# SPDX-License-Identifier: BSD-2-Clause
# What tests of the tunnel share; source it after lib.sh. The ends are the namespaces a and b:
#
#	namespaces a b
#	wire "$a" "$b"                    # 192.0.2.1 and .2, 2001:db8::1 and ::2
#	identities                        # fp_a, fp_b; folders $dir/id-a, $dir/id-b
#	stock "$b" server --local 192.0.2.2 --port 1194 --remote 192.0.2.1 1194 \
#		--ifconfig 10.9.0.2 10.9.0.1
#	stock_up
#	connected "$a" 10.9.0.2
# shellcheck shell=bash

command -v openvpn >/dev/null || skip "no openvpn"

# wire NS NS: a veth pair, w0 in each.
wire() {
	local n=0 ns
	ip link add w0 netns "$1" type veth peer name w0 netns "$2"
	for ns; do
		ip -n "$ns" addr add 192.0.2.$((++n))/24 dev w0
		ip -n "$ns" addr add 2001:db8::$n/64 dev w0 nodad
		ip -n "$ns" link set w0 up
	done
}

# shellcheck disable=SC2034 # for the tests
identities() {
	fp_a=$("$sluice" keygen --out "$dir/id-a" 2>"$dir/keygen.log")
	fp_b=$("$sluice" keygen --out "$dir/id-b" 2>"$dir/keygen.log")
}

stocks=0
stock_log=/dev/null stock=
stock_env=() # for the environment of the stock OpenVPN: NAME=VALUE

# stock NS server|client OPTION...: OpenVPN in the background with the identity of that end, its interface
# o0; pid in $stock, output in $stock_log. Options override what is here.
stock() {
	local ns=$1 own=${1##*-} peer=fp_a tls=(--tls-client)
	[[ $own == b ]] || peer=fp_b
	[[ $2 == client ]] || tls=(--tls-server --dh none)
	shift 2
	stock_log=$dir/openvpn-$((++stocks)).log
	: >"$stock_log"
	ip netns exec "$ns" env "${stock_env[@]}" openvpn --dev-type tun --dev o0 --verb 3 --disable-dco \
		"${tls[@]}" --key "$dir/id-$own/key.pem" --cert "$dir/id-$own/cert.pem" \
		--peer-fingerprint "${!peer}" "$@" >"$stock_log" 2>&1 &
	stock=$!
	pids+=("$stock")
}

# stock_says REGEX [LOG]: wait until it has; the latest one, or the one with this log.
stock_says() {
	wait_for "OpenVPN to say /$1/" grep -Eq -- "$1" "${2:-$stock_log}"
}

stock_up() { # [LOG]
	stock_says 'Initialization Sequence Completed' "$@"
}

# stock_end [PID] [SIGNAL]: end it cleanly.
stock_end() {
	kill -"${2:-TERM}" "${1:-$stock}"
	wait_for 'the end of OpenVPN' gone "${1:-$stock}"
}

# connected NS ADDRESS: wait until it answers.
connected() {
	wait_for "an answer of $2" in_ns "$1" ping -q -c 1 -W 0.3 "$2" >"$dir/ping.out" 2>&1
}

# relay NS LISTEN TARGET [OPTION...]: relay.py in the background; pid in $relay.
relay() {
	local ns=$1
	shift
	relay_report=$dir/relay.json
	: >"$dir/relay.log"
	ip netns exec "$ns" "$python" -B "$here/relay.py" "$@" >"$relay_report" 2>"$dir/relay.log" &
	relay=$!
	pids+=("$relay")
	wait_for 'the relay' grep -q ready "$dir/relay.log"
}

# relay_end EXPRESSION...: end it; these must be true of its counts, such as 'there.dropped > 5'.
relay_end() {
	kill -TERM "$relay"
	wait_for 'the end of the relay' gone "$relay"
	report=$relay_report
	local expression
	for expression; do
		holds "$expression"
	done
}

# watch_if NS IF FILE [OPTION...]: tcpdump in the background; pid in $watcher. It has begun on return.
watch_if() {
	local ns=$1 interface=$2 file=$3
	shift 3
	: >"$file.log" # not that of an earlier one
	ip netns exec "$ns" tcpdump -i "$interface" -B 16384 -U -w "$file" "$@" 2>"$file.log" &
	watcher=$!
	pids+=("$watcher")
	wait_for tcpdump grep -q 'listening on' "$file.log"
}

# watch_end PID FILE: end it; it must have seen everything up to a packet with "markermarker" in it.
watch_end() {
	wait_for "the marker in $2" grep -qa markermarker "$2"
	kill -TERM "$1"
	wait_for 'the end of tcpdump' gone "$1"
	grep -q '^0 packets dropped by kernel' "$2.log" || fail "tcpdump has lost packets: $(cat "$2.log")"
}
