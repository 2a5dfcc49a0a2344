#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Requests of more data than the bounce pools have room for at once: some wait for others, and all of them come to an end.
# What a device cannot do is said in a sentence.
. "$(dirname "$0")/uduse-lib.sh"
(dir=$dir/at && refused 1 'no daemon has connected' "$sluice" io "$at-alone" --time 0.1) & # it takes ten seconds
alone=$!
serve blk,mem=160M,queues=2

for ring in '' --packed; do
	# shellcheck disable=SC2086 # a word or none
	drives --op write --verify --bs 4M --qd 32 --queues 2 --time 0 $ring
	io_said "o['requests'] >= 40 and o['checked'] >= 40"
done
refused 1 'has up to 256 entries: 1024 are wanted' "$sluice" io "$at" --queue-size 1024 --time 0.1
refused 1 'has 2 queues: 3 are wanted' "$sluice" io "$at" --queues 3 --time 0.1
refused 2 'listen' "$sluice" io "$at" --listen
end
wait "$alone"
