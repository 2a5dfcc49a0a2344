# SPDX-License-Identifier: BSD-2-Clause
# What tests with PCI devices share; source it after guest.sh.
# usage: TEST.sh SLUICE DRIVE
# shellcheck shell=bash disable=SC2034
sluice=$1 drive=${2-}
devices=/sys/bus/pci/devices

driver_of() { # ADDRESS
	basename "$(readlink "$devices/$1/driver" || echo none)"
}

# take DRIVER ADDRESS...: from whatever driver they have
take() {
	local driver=$1 address
	shift
	for address; do
		"$sluice" bind "$address" "$driver" >/dev/null 2>&1 || "$sluice" bind "$address" "$driver"
		[[ $(driver_of "$address") == "$driver" ]]
	done
}

# give_back ADDRESS...: to the driver they had
give_back() {
	local address
	for address; do
		"$sluice" unbind "$address" --restore >/dev/null
	done
}

# says REGEX COMMAND...: it must fail, and say so
says() {
	local regex=$1 said
	shift
	if said=$("$@" 2>&1 </dev/null); then
		echo "FAIL: $* did not fail, but said: $said"
		return 1
	fi
	grep -Eq -- "$regex" <<<"$said" || {
		echo "FAIL: $*: not /$regex/ but: $said"
		return 1
	}
}

# until_so COMMAND...: 20 s at most
until_so() {
	local end=$((SECONDS + 20))
	until "$@"; do
		((SECONDS < end)) || {
			echo "FAIL: waited in vain: $*"
			return 1
		}
		sleep 0.05
	done
}

plugged() { # ADDRESS JSON
	qmp device_add "$2"
	sleep 0.5
	[[ -e $devices/$1 ]]
}

# plug_in ADDRESS JSON: asked for again and again, since QEMU may not be rid yet of what is gone here
plug_in() {
	until_so plugged "$@"
}

# As a user who is nobody, without any capability.
as_user() {
	setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all "$@"
}

group_of() { # ADDRESS
	basename "$(readlink "$devices/$1/iommu_group")"
}

# hold ADDRESS WAY: a program that drives it, in the background: $holder, its words in "$held"
hold() {
	held=/tmp/held
	: >"$held"
	"$drive" hold "$@" >"$held" 2>&1 &
	holder=$!
	until_so grep -q '^held' "$held"
}

# let_go [WORDS]: it must end, and have said this
let_go() {
	local status=0
	wait "$holder" || status=$?
	[[ $status == 0 && $(cat "$held") == *"${1-}"*closed ]] || {
		echo "FAIL: it ended with $status and said: $(cat "$held")"
		return 1
	}
	rm "$held"
}

# killed: it is, without a chance to clean up
killed() {
	kill -KILL "$holder"
	wait "$holder" 2>/dev/null || [[ $? == 137 ]]
	rm "$held"
}
