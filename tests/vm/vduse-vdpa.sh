#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk through /dev/vhost-vdpa-0, driven by vdpa_client: the only way to be asked for the state of a queue and to be told
# of changes of memory. Split and packed; and killed and started again under load.
# guest: modules vduse vhost_vdpa
# guest: programs vdpa
# guest: files vduse-lib.sh
# guest: seconds 180
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/vduse-lib.sh"
client=$2

drive() { # WORD...
	timeout 90 "$client" /dev/vhost-vdpa-0 "$@" || fail "$client $*: $? $(cat "$dir/d0.log")"
}

file=/dev/shm/slt-disk
truncate -s 16M $file
for kind in split packed; do
	how=attach=on
	[[ $kind == split ]] || how+=,packed=on
	serve d0 "blk,file=$file" "$how"
	wait_for /dev/vhost-vdpa-0 test -c /dev/vhost-vdpa-0
	"$sluice" vduse list | grep -Eq '^d0 +attached +vhost_vdpa +vhost-vdpa-0$'
	drive "$kind" all
	grep -q 'queue 0 is broken: ' "$dir/d0.log"
	ok "$kind: all of it, with one daemon"
	drive "$kind" load "$dir/enough" >"$dir/load" &
	worker=$!
	wait_for 'the load' grep -q running "$dir/load"
	for n in {1..10}; do
		sleep 0.$((RANDOM % 6 + 1))
		killed d0
		serve d0 "blk,file=$file" "$how"
		wait_for 'it to be taken over' taken_over d0 "$n"
	done
	touch "$dir/enough"
	wait $worker || fail "$(cat "$dir/load")"
	ok "$kind: killed and started again under load"
	echo 2 >/proc/sys/vm/nr_hugepages
	drive "$kind" huge "$dir/enough" >/dev/null
	echo 0 >/proc/sys/vm/nr_hugepages
	ok "$kind: a driver's memory that is one huge page"
	ended d0
	rm "$dir/d0.log" "$dir/enough"
done
