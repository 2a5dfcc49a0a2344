# SPDX-License-Identifier: BSD-2-Clause
# What tests share that serve disks to the guest's own kernel; source it after guest.sh.
# shellcheck shell=bash
sluice=$1
dir=$(mktemp -d /tmp/slt-XXXXXX)
ulimit -l 8192 # as systemd has it
declare -A daemon

# What nobody answers hangs for ever: the device is destroyed by force, so that the guest comes to its end.
cleanup() {
	local status=$? pid
	trap - EXIT ERR
	set +e
	((status == 0)) || tail -n 20 "$dir"/*.log
	for pid in "${daemon[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rm -rf "$dir" /dev/shm/slt-*
	exit "$status"
}
trap cleanup EXIT

fail() {
	echo "FAIL: $*"
	exit 1
}

wait_for() { # WHAT COMMAND...: until it succeeds, 30 s at most
	local end=$((SECONDS + 30))
	until "${@:2}"; do
		((SECONDS < end)) || fail "waited in vain for $1"
		sleep 0.05
	done
}

# serve NAME MODEL[,...] [KEY=VALUE,...]: in the background, with --poll $poll (adaptive); returns when it says that it is ready
serve() {
	local log=$dir/$1.log from
	touch "$log"
	from=$(wc -l <"$log")
	"$sluice" serve -v --poll "${poll-adaptive}" "$2" --via "vduse:name=$1${3:+,$3}" --stats 0 >>"$log" 2>&1 &
	daemon[$1]=$!
	wait_for "$1 to be served" served_or_dead "$1" "$from"
	kill -0 "${daemon[$1]}" 2>/dev/null || fail "sluice serve has ended: $(cat "$log")"
}

served_or_dead() { # NAME LINES: of an earlier process
	tail -n "+$(($2 + 1))" "$dir/$1.log" | grep -q '^sluice serve: ready' || ! kill -0 "${daemon[$1]}" 2>/dev/null
}

disk_of() { # NAME: what the kernel calls it
	local disk
	for disk in "/sys/bus/vdpa/devices/$1"/virtio*/block/*; do
		[[ ! -e $disk ]] || basename "$disk"
	done
}

has_disk() {
	[[ -b /dev/$(disk_of "$1") ]]
}

size_is() { # DISK BYTES
	[[ $(cat "/sys/block/$1/size") == $(($2 / 512)) ]]
}

# killed NAME: as by the kernel when memory runs out
killed() {
	kill -KILL "${daemon[$1]}"
	wait "${daemon[$1]}" 2>/dev/null || true
}

taken_over() { # NAME TIMES: by how many processes that came after one that was killed
	[[ $(grep -c 'taken over' "$dir/$1.log") == "$2" ]]
}

gone() {
	[[ ! -e /proc/$1 || $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) == Z ]]
}

# ended NAME: in order, and nothing of it is left behind
ended() {
	local status=0
	kill -TERM "${daemon[$1]}"
	wait_for "the end of $1" gone "${daemon[$1]}"
	wait "${daemon[$1]}" || status=$?
	((status == 0)) || fail "sluice serve ended with $status: $(tail -n 5 "$dir/$1.log")"
	[[ ! -e /dev/vduse/$1 && ! -e /sys/bus/vdpa/devices/$1 && ! -e /run/sluice/$1.log ]]
}
