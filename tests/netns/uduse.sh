#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk and its driver over uduse: who comes first is all one, and so is how often either comes; split, packed, several
# queues, another size, the log in a folder of its own.
. "$(dirname "$0")/uduse-lib.sh"
truncate -s 32M "$dir/disk.img"
serve "blk,file=$dir/disk.img,queues=2"
wait_for 'it to say that nobody is there' grep -q '^sluice serve: warning: uduse: .*: cannot connect: .*; trying again$' "$log"

for ring in '' --packed '--indirect --queues 2' '--packed --queues 2 --qd 64 --poll'; do
	# shellcheck disable=SC2086 # words
	drives --op write --verify --time 0 $ring
	io_said "o['requests'] == o['checked'] >= 8192"
	# shellcheck disable=SC2086
	drives --op randread --verify --time 0.3 $ring
	served "o['state'] != 'ended'"
done
few_descriptors

# Ended in order with its driver at work, and started again: nothing is lost. The log is there meanwhile, and not after.
drive --op randwrite --qd 32 --queues 2 --time 60 --verify --reconnect 20
for n in 1 2 3; do
	kill -TERM "$link"
	ended
	[[ -f $sock.log && $(stat -c %a "$sock.log") == 600 ]] || fail 'the log is not there, or for others too'
	serve "blk,file=$dir/disk.img,queues=2"
	wait_for "the driver to find it again, time $n" has_reconnected "$n"
done
sleep 1 # it may be slow to take the device over
kill -INT "$io"
is_over
io_said "o['reconnects'] == 3 and o['errors'] == 0 and o['mismatches'] == 0 and o['checked'] > 1000"
sleep 1 # it may be slow to see that its driver has gone
kill -TERM "$link"
ended
[[ ! -e $sock.log ]] || fail 'the log is still there'

# Another size, while it is driven.
mkdir "$dir/state"
via+=,packed=off,state=$dir/state
serve "blk,file=$dir/disk.img"
drive --op randread --qd 4 --time 2.5
[[ -f $dir/state/disk.sock.log ]] || fail "no log in $dir/state"
truncate -s 48M "$dir/disk.img"
is_over
drives --op write --offset 40M --verify --time 0
refused 1 'PACKED' "$sluice" io "$at" --packed --time 0.1

# What cannot be.
kill -TERM "$link"
ended
no_via() { # REGEX TRANSPORT
	refused 2 "$1" "$sluice" serve blk,mem=1M --via "$2"
}
no_via 'path is missing' uduse:
no_via 'cannot be the name of a device' 'uduse:path=a b.sock'
no_via 'no folder .*nowhere/deeper' "uduse:path=$sock,state=$dir/nowhere/deeper"
no_via 'no parameter "name"' uduse:path=x,name=y
refused 2 'a NIC has split virtqueues' "$sluice" link "uduse:path=$sock,packed=on" null:
