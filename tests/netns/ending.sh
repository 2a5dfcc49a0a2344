#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Every way for a link to end: signals, --duration, a source's end, nobody who reads on. It says its
# totals, leaves no interface behind, and the next one works at once.
. "$(dirname "$0")/lib.sh"
namespaces a
silence "$a"

no_interface() {
	[[ $(ip -n "$a" -br link | awk '{ print $1 }') == lo ]] || fail "left behind: $(ip -n "$a" -br link)"
}

for ((i = 0; i < 20; i++)); do
	begin "$sluice" link --json --stats 0 "tap:name=t0,netns=$a,addr=10.9.0.1/24" "tap:name=t1,netns=$a"
	signals=(TERM HUP) # bash starts what runs in the background with SIGINT ignored
	sleep "0.00$((i / 2 % 10))" # at any moment of its start
	kill -"${signals[i % 2]}" "$link"
	status=0
	wait_for 'the end' gone "$link"
	wait "$link" || status=$?
	((status == 0 || status > 128)) || fail "status $status after SIG${signals[i % 2]}"
	no_interface
done

for i in {1..20}; do
	begin ip netns exec "$a" "$sluice" link --stats 0 --json --workers $((i % 4 + 1)) tap:name=t0 null:
	wait_for 'the interface' is_up "$a" t0
	stop "$( ((i % 2)) && echo INT || echo TERM)"
	no_interface
done

# An interface that was there before stays there.
ip -n "$a" tuntap add t9 mode tap
start "tap:name=t9,netns=$a" null:
stop
ip -n "$a" link show dev t9 >/dev/null
ip -n "$a" link del t9

# --duration and --stats: as many reports, at about these times.
begin "$sluice" link --json --duration 1 --stats 0.25 gen:rate=1000 null:
ended
"$python" -B "$here/report.py" --check "$report"
holds 'final and 1 <= time < 5 and abs(interval - time) < 0.01'
lines=$(wc -l <"$report")
((lines >= 3 && lines <= 5)) || fail "$lines reports in 1 s, one every 0.25 s"
begin "$sluice" link --json --duration 0.3 --stats 0 gen:rate=1000 null:
ended
[[ $(wc -l <"$report") == 1 ]]
holds 'final and there.packets > 0'

# A source's end: all it gave is delivered, over and over.
for workers in 1 2 3 4; do
	for i in {1..5}; do
		begin "$sluice" link --json --workers $workers gen:count=4321,size=100 null:
		ended
		holds 'final and there.packets == 4321 and there.bytes == 432100 and len(directions) == 1'
	done
done

# For people: a line an interval, then totals.
begin "$sluice" link --duration 0.5 --stats 0.1 gen:rate=1000 null:
ended
grep -Eq '^-> .*bit/s .*pkt/s$' "$report"
grep -Eq '^  [0-9]+ packets, .*drops: none$' "$report"
(($(tr -dc '\r\033' <"$report" | wc -c) == 0))

# Nobody reads on.
for json in '' --json; do
	# shellcheck disable=SC2086
	timeout 20 bash -c '"$@" | head -1' - "$sluice" link $json --stats 0.05 gen:rate=1000 null: >"$dir/head"
	[[ $(wc -l <"$dir/head") == 1 ]]
done
status=0
timeout 20 "$sluice" link --stats 0.05 "tap:name=t0,netns=$a" null: >&- 2>"$dir/err.log" || status=$?
((status != 124))
no_interface
