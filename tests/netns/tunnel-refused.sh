#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A kernel that refuses offloads, one by one, at one end, then at both; and one whose socket is full or short of memory.
# What the tunnel carries arrives intact, or is counted; and `-v` says what the kernel refused, once.
# usage: tunnel-refused.sh SLUICE REFUSE
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
refuse=$(realpath "$2")
namespaces a b
wire "$a" "$b"
identities
extra=(-v)

# Words for refuse.c | what must be true of the end's report | what it says, a regular expression. Of the 10,000 packets
# that come out, 2000 are UDP; `few` are written when they are put together.
train='tunnel: the kernel takes no trains here \(UDP_SEGMENT\): each packet is a message of its own'
few='there.cut > 50 and back.packets < 2000'
cases=(
	"none|$few|"
	"udp_gro|there.cut > 50|tunnel: the kernel puts no received packets together here \(UDP_GRO\): each comes by itself: .*"
	"udp_segment_einval|there.cut > 50|$train"
	"udp_segment_eio|there.cut > 50|$train"
	'uso|there.cut > 50 and 2000 < back.packets < 5000|t0: offloads: checksum and TSO; the kernel refuses more: .*'
	'tso|there.cut == 0 and back.packets > 7000|t0: offloads: checksum; the kernel refuses more: .*'
	'csum|there.cut == 0 and back.packets > 7000|t0: offloads: none; the kernel refuses more: .*'
	'write_einval|there.cut > 50 and back.cut > 50|t0: the kernel refuses super-packets written to it: they are cut'
	'eagain=3|there.cut > 50|'
	'partial|there.cut > 50|'
	"udp_segment_eio,eagain=3|there.cut > 50|$train"
)

# start_end END ROLE WORDS. The library of a sanitizer that sluice was built with wants to come first; it need not.
start_end() {
	if [[ $3 == none ]]; then
		end "$1" "$2"
	else
		REFUSE=$3 LD_PRELOAD=$refuse ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0 end "$1" "$2"
	fi
}

start_ends() { # WORDS-OF-A WORDS-OF-B
	start_end a server "$1"
	start_end b client "$2"
	connected "$b" 10.9.0.1
}

carry() { # ADDRESS-FOR-TCP ADDRESS-FOR-UDP, of b
	traffic tcp "$a" "$b" "$1" --bytes 10000000
	traffic udp "$a" "$b" "$2" --gso 1300 --ordered --count 2000
	traffic udp "$b" "$a" "${2/%2/1}" --gso 777 --ordered --count 2000
}

# refused_packets END WORD: how many packets were in what was refused; none is a failure
refused_packets() {
	sed -En "s/^refused $2: calls=[1-9][0-9]* packets=([0-9]+)$/\1/p" "${log_of[$1]}" | grep . || fail "$2 refused nothing"
}

# told END WORDS SENTENCE: it has said that and nothing like it
told() {
	local word said
	said=$(sed -En 's/^sluice link: (warning: )?(.*the kernel (takes|puts|refuses))/\2/p' "${log_of[$1]}")
	[[ $said =~ ^$3$ && $said != *$'\n'* ]] || fail "end $1, $2: it has said not /$3/ but: $said"
	for word in ${2//,/ }; do
		[[ $word == none ]] || refused_packets "$1" "${word%=*}" >"$dir/refused"
	done
}

# check END WORDS EXPRESSION SENTENCE: it has lost nothing but what came before there was a session
check() {
	of "$1"
	holds "there.lost() == there.drops('no-session') < 100 and not back.lost() and $3"
	told "$1" "$2" "$4"
}

# First at one end, with packets and TCP over IPv4; then at both, with frames and TCP over IPv6.
for row in "${cases[@]}"; do
	IFS='|' read -r words true_of says <<<"$row"
	for other in none "$words"; do
		kind=tun carried=(10.9.0.2 fd09::2)
		[[ $other == none ]] || kind=tap carried=(fd09::2 10.9.0.2)
		echo "== $words, $other"
		start_ends "$words" "$other"
		carry "${carried[@]}"
		stop_ends
		check a "$words" "$true_of" "$says"
		if [[ $other == none ]]; then
			check b none 'True' ''
			[[ $words != none ]] || break
		else
			check b "$words" "$true_of" "$says"
		fi
	done
done

# No memory: what was refused is counted, packet by packet, and TCP sends it again.
for words in enobufs=30 udp_segment_eio,enobufs=30; do
	echo "== $words"
	start_ends "$words" none
	traffic udp "$a" "$b" 10.9.0.2 --gso 1300 --ordered --count 4000 --lossy --window 0 --rate 20000
	traffic tcp "$a" "$b" fd09::2
	stop_ends
	of a
	n=$(refused_packets a enobufs)
	holds "there.drops('no-buffer') == $n and there.lost() == there.drops('no-session', 'no-buffer') and not back.lost()"
	of b
	holds "there.lost() == there.drops('no-session') and not back.lost()"
done
no_checksum_errors "$a" "$b"
