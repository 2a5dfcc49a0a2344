# SPDX-License-Identifier: BSD-2-Clause
# What tests share whose disks are served by serve.py, beside QEMU; source it after guest.sh.
# shellcheck shell=bash
dir=$(mktemp -d /tmp/slt-XXXXXX)
trap 'rm -rf "$dir"' EXIT

wait_for() { # WHAT COMMAND...: until it succeeds, 60 s at most
	local end=$((SECONDS + 60))
	until "${@:2}"; do
		((SECONDS < end)) || { echo "FAIL: waited in vain for $1" && exit 1; }
		sleep 0.05
	done
}

# host WHAT DISK...: see serve.py
host() {
	echo "%% host $*"
}

# disk_of NAME: what the kernel calls it
disk_of() {
	local disk
	for disk in /sys/block/vd*; do
		[[ $(cat "$disk/serial") != "$1"-* ]] || basename "$disk"
	done
}

serial_is() { # DISK SERIAL; asks the disk
	[[ $(cat "/sys/block/$1/serial") == "$2" ]]
}

declare -A starts=([split]=0 [packed]=0)
# restart kill|term NAME: returns when the new process serves
restart() {
	host "$1" "$2"
	starts[$2]=$((${starts[$2]} + 1))
	wait_for "$2 to come back" serial_is "$(disk_of "$2")" "$2-${starts[$2]}"
}
