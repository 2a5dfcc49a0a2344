#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Several queues, several workers, all ways to poll: nothing is lost, changed or doubled. A flow stays
# in order as long as one worker carries a direction.
. "$(dirname "$0")/lib.sh"
namespaces a b

# try WORKERS POLL LEFT-QUEUES RIGHT-QUEUES KIND OFFLOAD [--ordered]
try() {
	echo "workers=$1 poll=$2 queues=$3,$4 $5 offload=$6"
	start --workers "$1" --poll "$2" "$5:name=t0,netns=$a,queues=$3,addr=10.9.0.1/24" \
		"$5:name=t0,netns=$b,queues=$4,offload=$6,addr=10.9.0.2/24"
	traffic tcp "$a" "$b" 10.9.0.2 --bytes 1000000
	traffic udp "$a" "$b" 10.9.0.2 --count 1000 --flows 8 "${@:7}"
	traffic udp "$b" "$a" 10.9.0.1 --count 1000 --flows 8 "${@:7}"
	no_checksum_errors "$a" "$b"
	stop
	holds 'not there.lost() and not back.lost()'
}

for poll in off adaptive on; do
	try 1 $poll 1 1 tap on --ordered
	try 2 $poll 1 1 tun off --ordered
	try 1 $poll 4 4 tap off --ordered
	try 2 $poll 4 1 tun on --ordered
	try 4 $poll 2 2 tap on
	try 4 $poll 1 4 tun off
	try 8 $poll 4 4 tap off
	try 8 $poll 1 1 tun on
done
