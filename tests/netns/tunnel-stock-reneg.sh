#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# New keys every few seconds with a stock OpenVPN, on its wish, on ours and on both: traffic does not notice.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
namespaces a b
wire "$a" "$b"
identities
extra=(-v -v)

load() {
	traffic udp "$a" "$b" 10.9.0.2 --count 6000 --rate 1000 >"$dir/udp-there" &
	local there=$!
	pids+=($!)
	traffic udp "$b" "$a" 10.9.0.1 --count 6000 --rate 1000 >"$dir/udp-back" &
	local back=$!
	pids+=($!)
	while kill -0 "$there" "$back" 2>/dev/null; do
		traffic tcp "$a" "$b" 10.9.0.2 --bytes 1000000 >"$dir/tcp"
		sleep 0.3
	done
	wait "$there" || fail "UDP there: $(cat "$dir/udp-there")"
	wait "$back" || fail "UDP back: $(cat "$dir/udp-back")"
}

for spec in 'server 0 2' 'server 2 0' 'client 0 2' 'client 2 0' 'client 2 2'; do
	read -r role ours theirs <<<"$spec"
	other=client
	[[ $role == server ]] || other=server
	with_stock "$role" "reneg=$ours" stock "$b" $other --proto udp4 --local 192.0.2.2 --port 1194 "${roomy[@]}" \
		--remote 192.0.2.1 1194 --ifconfig 10.9.0.2 10.9.0.1 --reneg-sec "$theirs"
	connected "$a" 10.9.0.2
	load
	connected "$b" 10.9.0.1
	stop
	stock_end
	[[ $(grep -c 'connected to' "$log") == 1 ]] || fail "$spec: a new session, not a new key"
	(($(grep -c 'sealing with key' "$log") >= 3)) || fail "$spec: few keys"
	# What a stock OpenVPN loses by itself would be its socket's.
	holds 'there.drops() == there.drops("no-session", "source") and back.drops() == 0'
	! grep -Ei 'error|decrypt|replay' "$stock_log" || fail "$spec: OpenVPN complains"
done
