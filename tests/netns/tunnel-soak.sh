#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A tunnel at full rate for SOAK_SECONDS (12; `make soak`: 600), with new keys all the time. Traffic never stops,
# memory and descriptors stay what they were, and every packet that is lost is on some counter:
#
#	socket -> t0 -> sluice -> w0 ===> w0 -> sluice's socket -> sluice -> t0 -> socket
#	sent    (1) dropped  |    (2) dropped   (3) overflow       |   (4) received + missed
#
# A flood is of datagrams of one size, alone in the tunnel, and never in super-packets before it is sealed. So
# these are exact, datagram by datagram:
#	- before: sent == packets that sluice sealed and the wire took + its drops, among them (1), t0's tx_dropped;
#	- after: what sluice opened == received + missed, the receiving socket's own count. What it opened follows
#	  from what it wrote: an entry may be many datagrams put together, but then has one header of 28 bytes.
# Between them the kernel counts messages at (2) and (3), and a message is a train of 1 to 64 datagrams. What is
# lost at (3) sluice counts by datagram all the same, from the ids that are missing; it cannot when the key changed
# in the middle of a loss, and then these bounds hold. Without trains a message is a datagram, and all is exact
# always: the second, shorter half of this test.
# shellcheck disable=SC2154 # a and b, which namespaces() sets; sent and so on, which flood.py prints
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
command -v iperf3 >/dev/null || skip "no iperf3"
command -v ethtool >/dev/null || skip "no ethtool"

seconds=${SOAK_SECONDS:-12} # about; waiting for counters to stand still comes on top
reneg=$((seconds < 60 ? 2 : 5))
each=$((seconds < 120 ? (seconds + 7) / 8 : 15)) # a phase; four are a round
stall=5       # seconds without a packet are one
growth=512    # KiB: a negotiation under way holds 200; leaks of 5 KiB a key show in 120 keys, ten minutes
talk=30       # control packets that one end sends for a new key, some of them twice; without losses 8 or so
train=64      # TRAIN_MAX in src/tunnel/train.h
declare -A was now d  # counters before, after, and the difference: END.NAME
declare -A moved lowest highest last first

namespaces a b
wire "$a" "$b"
identities
silence "$a" "$b"
for end in a b; do # neighbours that never have to be asked for again
	mac=$(ip -n "${!end}" -br link show w0 | awk '{ print $3 }')
	to=$(other "$end")
	ip -n "${!to}" neigh replace "192.0.2.$(number "$end")" dev w0 lladdr "$mac" nud permanent
done
inside() {
	echo "tun:name=t0,netns=${!1},addr=10.9.0.$(number "$1")/24"
}

#
# Counters
#

device() { # NS IF STATISTIC
	in_ns "$1" cat "/sys/class/net/$2/statistics/$3"
}

tcp_count() { # NS NAME
	in_ns "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'
}

queue_drops() { # NS
	tc -n "$1" -s qdisc show | awk 'match($0, /dropped [0-9]+/) { n += substr($0, RSTART + 8, RLENGTH - 8) } END { print n + 0 }'
}

look() {
	local end ns
	for end in a b; do
		ns=${!end}
		of $end
		# shellcheck disable=SC2229 # names of elements
		read -r "now[$end.out]" "now[$end.unsent]" "now[$end.source]" "now[$end.in]" "now[$end.bytes]" \
			"now[$end.overflow]" "now[$end.bad]" < <(value "' '.join(map(str, (there.packets,
				there.drops(), there.drops('source'), back.packets, back.bytes, back.drops('source'),
				back.drops() - back.drops('source'))))")
		now[$end.tun]=$(device "$ns" t0 tx_dropped)
		now[$end.refused]=$(device "$ns" t0 rx_dropped)
		now[$end.wire_tx]=$(device "$ns" w0 tx_dropped)
		now[$end.wire_rx]=$(device "$ns" w0 rx_dropped)
		now[$end.queue]=$(queue_drops "$ns")
		now[$end.keys]=$(keys_of $end)
		# shellcheck disable=SC2016 # awk's; 04AA is port 1194, the last column what the socket has dropped
		now[$end.messages]=$(in_ns "$ns" awk '$2 ~ /:04AA$/ { print $NF }' /proc/net/udp)
		now[$end.again]=$(tcp_count "$ns" TcpRetransSegs)
		now[$end.needless]=$(tcp_count "$ns" TcpExtTCPDSACKRecvSegs)
	done
}

# settle: look, once nothing moves any more; the differences to the time before are in d.
settle() {
	local key before=
	while look; [[ $before != "${now[*]}" ]]; do
		before=${now[*]}
		of a
		fresh
		of b
		fresh
	done
	for key in "${!now[@]}"; do
		d[$key]=$((now[$key] - ${was[$key]:-0}))
		was[$key]=${now[$key]}
	done
}

show() {
	local key
	for key in $(printf '%s\n' "${!d[@]}" | sort); do
		printf '%s=%s ' "$key" "${d[$key]}"
	done
}

# Lost messages between X and Y. What w0 of Y has no room for may be counted by both w0.
wire_messages() { # X Y
	echo $((d[$2.messages] + (d[$1.wire_tx] > d[$2.wire_rx] ? d[$1.wire_tx] : d[$2.wire_rx])))
}

all_drops() {
	local n there back key
	there=$(wire_messages a b)
	back=$(wire_messages b a)
	n=$((there + back))
	for key in {a,b}.{unsent,bad,queue,refused}; do
		n=$((n + d[$key]))
	done
	echo "$n"
}

#
# Watching
#

keys_of() {
	grep -c 'sealing with key' "${log_of[$1]}" || :
}

# KiB that are not packet buffers. Those are two mappings of a fixed size, of which more is touched, 2 MiB at a
# time, whenever more packets wait than ever before.
heap_of() { # PID
	awk '/^[0-9a-f]+-/ { heap = /\[heap\]/ } /^Size:/ { size = $2 } /^Anonymous:/ && (heap || size < 16384) { n += $2 }
		END { print n }' "/proc/$1/smaps"
}

measure() { # END: what it has of the system
	local pid=${link_of[$1]} name value _
	last[$1.heap]=$(heap_of "$pid")
	while read -r name value _; do
		case $name in
		VmData: | VmRSS: | RssAnon:) last[$1.${name%:}]=$value ;;
		esac
	done <"/proc/$pid/status"
	last[$1.fds]=$(find "/proc/$pid/fd" -mindepth 1 | wc -l)
}

sample() {
	local key
	measure a
	measure b
	for key in "${!last[@]}"; do
		((last[$key] >= ${lowest[$key]:-last[$key]})) || lowest[$key]=${last[$key]}
		((last[$key] <= ${highest[$key]:-0})) || highest[$key]=${last[$key]}
		: "${lowest[$key]:=${last[$key]}}"
	done
}

say_progress() { # WHAT GBITS-TO-A GBITS-TO-B
	local dropped
	of a
	dropped=$(value 'there.drops() + back.drops()')
	of b
	dropped=$((dropped + $(value 'there.drops() + back.drops()')))
	printf '%4d s  %-8s to a %s, to b %s Gbit/s; keys %d, %d; heap %d, %d KiB; dropped so far %d\n' \
		"$((SECONDS - began))" "$1" "$2" "$3" "$(keys_of a)" "$(keys_of b)" "${last[a.heap]}" \
		"${last[b.heap]}" "$dropped"
}

gbits() { # BYTES SECONDS
	awk -v bytes="$1" -v time="$2" 'BEGIN { printf "%.2f", bytes * 8 / 1e9 / (time ? time : 1) }'
}

running() {
	local pid
	for pid; do
		gone "$pid" || return 0
	done
	return 1
}

# watch_load WHAT RECEIVERS PID...: until these have ended, well; what the ends get must not stop.
watch_load() {
	local what=$1 receivers=$2 pid end bytes since=$SECONDS
	local -A at=() start=()
	shift 2
	for end in a b; do
		of $end
		moved[$end]=$(value back.bytes)
		start[$end]=${moved[$end]}
		at[$end]=$SECONDS
	done
	while running "$@"; do
		sleep 1
		sample
		for end in a b; do
			of $end
			alive || fail "end $end has ended"
			bytes=$(value back.bytes)
			((bytes == moved[$end])) || at[$end]=$SECONDS
			moved[$end]=$bytes
			[[ " $receivers " != *" $end "* ]] || ! running "$@" || ((SECONDS - at[$end] < stall)) ||
				fail "$what: for $stall s nothing has arrived at $end"
		done
		((SECONDS < reported + 10)) || {
			say_progress "$what" "$(gbits $((moved[a] - start[a])) $((SECONDS - since)))" \
				"$(gbits $((moved[b] - start[b])) $((SECONDS - since)))"
			reported=$SECONDS
		}
	done
	for pid; do
		wait "$pid" || fail "$what: $(cat "$dir/load-"*)"
	done
}

#
# Load
#

in_background() { # NAME COMMAND...
	"${@:2}" >"$dir/load-$1" 2>&1 &
	pids+=($!)
}

tcp() { # SECONDS: both ways at once; pid in $client
	in_background server in_ns "$b" iperf3 -s -1
	wait_for 'the iperf3 server' server_listens
	in_background tcp in_ns "$a" iperf3 -c 10.9.0.2 --bidir -t "$1"
	client=${pids[-1]}
}

server_listens() {
	in_ns "$b" ss -Hltn 'sport = :5201' | grep -q .
}

flood() { # X Y SECONDS SIZE; pid in $client
	in_background udp timeout $(($3 + 60)) "$python" -B "$here/flood.py" "${!1}" "${!2}" \
		"10.9.0.$(number "$2")" --seconds "$3" --size "$4"
	client=${pids[-1]}
}

# hiccup X Y SECONDS: the other half of full rate is an end that cannot follow: the socket of Y overflows. At once
# after a new key of X, so that the next one is not in the middle of it.
hiccup() {
	local keys end=$((SECONDS + $3 - 1))
	keys=$(keys_of "$1")
	while (($(keys_of "$1") == keys && SECONDS < end)); do
		sleep 0.05
	done
	kill -STOP "${link_of[$2]}"
	sleep 0.4
	kill -CONT "${link_of[$2]}"
}

# Each begins where the one before has settled.
phase_tcp() { # SECONDS
	tcp "$1"
	watch_load tcp 'a b' "$client"
	settle
	local end
	# Without a loss, what TCP has sent again was needless, and the other side has told it so; but for a few: it probes
	# for a lost tail when an answer is late, and a receiver that is short of memory drops by itself.
	(($(all_drops) > 0)) || for end in a b; do
		((d[$end.again] - d[$end.needless] <= d[$end.out] / 100000 + 10)) ||
			fail "TCP of $end sent ${d[$end.again]} segments again, ${d[$end.needless]} needlessly, and nothing was lost: $(show)"
	done
}

phase_flood() { # X Y SECONDS SIZE MOST: datagrams that a lost message may be
	local x=$1 y=$2 size=$4 opened lost counted messages own sent received missed
	flood "$x" "$y" "$3" "$size"
	hiccup "$x" "$y" "$3"
	watch_load "udp $x-$y" "$y" "$client"
	settle
	eval "$(cat "$dir/load-udp")"
	((sent == d[$x.out] + d[$x.unsent] + d[$x.queue])) || fail "before the wire: sent=$sent, $(show)"
	((d[$x.source] == d[$x.tun])) || fail "t0 of $x dropped ${d[$x.tun]}, counted as source: ${d[$x.source]}"
	opened=$(((d[$y.bytes] - 28 * d[$y.in]) / size))
	((d[$y.bytes] == 28 * d[$y.in] + size * opened)) || fail "something else was in the tunnel: $(show)"
	((opened == received + missed + d[$y.refused])) ||
		fail "after the wire: opened=$opened received=$received missed=$missed, $(show)"
	lost=$((d[$x.out] - opened - d[$y.bad]))
	messages=$(wire_messages "$x" "$y")
	counted=$((d[$y.overflow] + messages - d[$y.messages]))
	# The tunnel's own control packets were lost as well, and are no datagrams of ours.
	own=$((messages ? talk * (d[$x.keys] + d[$y.keys] + 1) : 0))
	((lost + own >= messages && lost <= $5 * messages && counted >= messages && counted <= lost + own)) ||
		fail "on the wire: lost=$lost counted=$counted messages=$messages, $(show)"
	((sum_floods += 1, sum_exact += counted >= lost, 1))
	((sent - received == d[$x.unsent] + d[$x.queue] + lost + d[$y.bad] + missed + d[$y.refused]))
	((sum_sent += sent, sum_received += received, sum_before += d[$x.unsent] + d[$x.queue], 1))
	((sum_lost += lost, sum_counted += counted, sum_messages += messages, sum_missed += missed, 1))
}

phase_both() { # X Y SECONDS: TCP beside a flood
	local sent received missed client_tcp
	tcp "$3"
	client_tcp=$client
	flood "$1" "$2" "$3" 1000
	watch_load 'tcp+udp' 'a b' "$client_tcp" "$client"
	settle
	eval "$(cat "$dir/load-udp")"
	((sent == received + missed || $(all_drops) > 0)) || fail "lost, and not counted: sent=$sent received=$received $(show)"
}

#
# The ends
#

settled_memory() { # END: what it had after warming up, what it has
	local what
	((last[$1.fds] == first[$1.fds])) || fail "end $1 had ${first[$1.fds]} descriptors, now ${last[$1.fds]}"
	# A sanitizer keeps what is freed; it looks for leaks itself, at the end.
	grep -q 'lib[atu]*san' "/proc/${link_of[$1]}/maps" || for what in heap VmData; do
		((last[$1.$what] <= first[$1.$what] + growth)) ||
			fail "end $1: $what was ${first[$1.$what]} KiB, is ${last[$1.$what]}: $growth KiB more are allowed"
	done
	for what in heap VmData RssAnon VmRSS fds; do
		printf 'end %s: %-7s %6d warm, then %d to %d, last %d\n' "$1" "$what" "${first[$1.$what]}" \
			"${lowest[$1.$what]}" "${highest[$1.$what]}" "${last[$1.$what]}"
	done
}

sums() { # WHAT
	printf '%s: %d sent, %d received; lost before the wire %d, on it %d (counted %d, in %d messages), after it %d; %d of %d by datagram\n' \
		"$1" "$sum_sent" "$sum_received" "$sum_before" "$sum_lost" "$sum_counted" "$sum_messages" \
		"$sum_missed" "$sum_exact" "$sum_floods"
	((sum_messages > 0)) || fail 'nothing has overflowed: the counters were not put to the test'
	((2 * sum_exact >= sum_floods)) || fail 'most losses on the wire were not counted by datagram'
}

open_ends() {
	sum_sent=0 sum_received=0 sum_before=0 sum_lost=0 sum_counted=0 sum_messages=0 sum_missed=0
	sum_floods=0 sum_exact=0
	was=() now=() lowest=() highest=() last=() first=()
	ends "reneg=$reneg"
	opened_at=$SECONDS
	settle
}

close_ends() {
	local end least=$(((SECONDS - opened_at) / reneg / 2))
	stop_ends
	for end in a b; do
		[[ $(grep -c 'connected to' "${log_of[$end]}") == 1 ]] || fail "end $end has opened a new session"
		(($(keys_of $end) >= least)) || fail "end $end: $(keys_of $end) keys, not $least"
		of $end
		holds 'there.drops() == there.drops("no-session", "source") and there.drops("no-session") < 100'
		holds 'back.drops() == back.drops("source")'
	done
	echo "keys: $(keys_of a) and $(keys_of b) in $((SECONDS - opened_at)) s, one session"
}

# shellcheck disable=SC2034 # for end()
extra=(-v -v)
began=$SECONDS
reported=-100
open_ends
# Every buffer that is ever used together, and three keys: afterwards memory has no reason to grow.
phase_both a b $((reneg + 1))
phase_both b a $((reneg + 1))
sample
for key in "${!last[@]}"; do
	first[$key]=${last[$key]}
done
lowest=() highest=()
for ((round = 0; round == 0 || SECONDS - began + 4 * each < seconds; round++)); do
	size=$((round % 2 ? 100 : 1400))
	phase_tcp "$each"
	phase_flood a b "$each" "$size" "$train"
	phase_flood b a "$each" "$size" "$train"
	if ((round % 2)); then
		phase_both a b "$each"
	else
		phase_both b a "$each"
	fi
done
sample
settled_memory a
settled_memory b
sums 'floods in trains'
close_ends

# Without checksum offload at w0 the kernel takes no trains.
for ns in "$a" "$b"; do
	in_ns "$ns" ethtool -K w0 tx off >/dev/null
done
open_ends
phase_flood a b "$each" 1400 1
phase_flood b a "$each" 100 1
sums 'floods without'
close_ends
