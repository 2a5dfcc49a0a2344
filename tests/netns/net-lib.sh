# SPDX-License-Identifier: BSD-2-Clause
# What the tests of NICs share: one process is a NIC at $sock, another one drives it; each of them sluice or DPDK's testpmd.
#
#	run nic vhost-user:path=$sock null:       # a sluice link, called nic
#	testpmd driver --vdev net_virtio_user0,path=$sock -- --forward-mode=io
#	of nic; holds 'there.packets > 3'         # what lib.sh says about "the last report" is about nic now
#	tell driver start
#
# shellcheck shell=bash disable=SC2034 # what lib.sh and the tests use
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
sock=$dir/nic.sock
declare -A link_of report_of log_of

remember() { # NAME
	link_of[$1]=$link report_of[$1]=$report log_of[$1]=$log
}

run() { # NAME [OPTION...] PORT PORT
	start "${@:2}"
	remember "$1"
}

of() {
	link=${link_of[$1]} report=${report_of[$1]} log=${log_of[$1]}
}

# joined NAME...: there is a driver and a NIC
joined() {
	local name
	for name; do
		of "$name"
		wait_for "$name to be joined" reports 'not there.gone and not back.gone'
	done
}

# end NAME...: told to, in order
end() {
	local name
	for name; do
		of "$name"
		stop
	done
}

kill_it() { # NAME
	of "$1"
	kill -KILL "$link"
	wait "$link" 2>/dev/null || true # for all of its threads, so that what it had open is free
}

#
# DPDK's testpmd: without huge pages, without rights, on whatever processors there are.
#

needs_testpmd() {
	PATH=$PATH:/usr/sbin command -v dpdk-testpmd >/dev/null || skip 'no dpdk-testpmd (package dpdk-dev)'
	cpus=$(taskset -cp $$ | sed 's/.*: //')
	eal=(--lcores "(0,1)@($cpus)" --no-huge --no-shconf -m 128 --no-pci --no-telemetry --iova-mode=va)
	pmd=(--no-mlockall --total-num-mbufs=4096 --no-flush-rx)
}

# testpmd NAME EAL-OPTION... -- OPTION...: interactive; returns when it listens to `tell`
testpmd() {
	local name=$1 options=()
	shift
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	rm -f "$dir/$name.in"
	mkfifo "$dir/$name.in"
	exec {hold}<>"$dir/$name.in" # or tell() waits for one that has died
	# begin gives no standard input; and DPDK writes to sockets whose other end may be closed.
	# shellcheck disable=SC2016 # that shell's
	begin bash -c "trap '' PIPE"'; exec <"$1" stdbuf -oL dpdk-testpmd "${@:2}"' - "$dir/$name.in" \
		"${eal[@]}" --file-prefix "$name-$$" "${options[@]}" -- -i "${pmd[@]}" "${@:2}"
	mv "$report" "$dir/$name.log" # cleanup() shows it
	report=$dir/$name.log
	remember "$name"
	wait_for "testpmd $name" grep -q '^testpmd> ' "$report"
}

tell() { # NAME COMMAND
	printf '%s\n' "${*:2}" >"$dir/$1.in"
}

# quit NAME: it has written everything
quit() {
	tell "$1" stop
	tell "$1" quit
	of "$1"
	ended
}

#
# Killed again and again: outages.py.
#

# lasting NS MAC: a t0 there that outlives who is killed
lasting() {
	ip -n "$1" tuntap add t0 mode tap
	ip -n "$1" link set t0 address "$2" up
}

# killed LIMIT COMMAND...: twenty times, while $a asks 10.9.0.2; prints how long each outage was, none over LIMIT seconds
killed() {
	echo "killed: ${*:2}"
	begin "$python" -B "$here/outages.py" --pings "$a" 10.9.0.2 20 "$1" "$dir/killed" "${@:2}"
	within 100 'twenty kills' gone "$link"
	wait "$link" || fail "outages.py: $(tail -n 1 "$log"); $(tail -n 3 "$dir/killed.log")"
	cat "$report"
}
