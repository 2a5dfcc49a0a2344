# SPDX-License-Identifier: BSD-2-Clause
# What the tests of this folder share. A test is a script that takes the sluice to test as its argument:
#
#	. "$(dirname "$0")/lib.sh"
#	namespaces a b                       # makes two, named by $a and $b
#	start tap:name=t0,netns=$a,... ...    # sluice link in the background, pid in $link
#	...
#	stop                                 # it must end cleanly, with reports as documented
#	holds 'there.packets == 5'           # of the last report
#
# Whatever happens, cleanup() ends what was started and removes what was made, by pid and by name.
# shellcheck shell=bash
set -eEu

sluice=$(realpath "${1:?usage: $0 SLUICE}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
dir=$(mktemp -d /tmp/slt-XXXXXX)
pids=()
made=()
report=/dev/null log=/dev/null link=

# A finding of a sanitizer is a failure; meson says so too.
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}

skip() {
	echo "SKIP: $*"
	exit 77
}

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

cleanup() {
	local status=$?
	((BASHPID == $$)) || exit "$status" # a subshell's end is not ours
	trap - EXIT ERR
	set +e
	if ((status != 0 && status != 77)); then
		tail -n 20 "$dir"/*.log >&2 2>/dev/null
		tail -n 1 "$report" >&2
	fi
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	for ns in "${made[@]}"; do
		ip netns del "$ns" 2>/dev/null
	done
	rm -rf "$dir"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM
trap 'echo "FAIL: ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR

# A test that makes no interface says so, with unprivileged=1 before it sources this.
if [[ -z ${unprivileged-} ]]; then
	((EUID == 0)) || skip "network namespaces need root"
	[[ -c /dev/net/tun ]] || skip "no /dev/net/tun"
	command -v ip >/dev/null || skip "no ip (iproute2)"
fi
command -v "$python" >/dev/null || skip "no $python"

# namespaces NAME...: new ones; the variable NAME says how each is really called. Quiet ones:
# no router solicitations, no waiting for duplicate addresses.
namespaces() {
	local name ns
	for name; do
		ns=slt-$$-$name
		ip netns add "$ns" 2>"$dir/netns.log" || skip "no network namespace: $(cat "$dir/netns.log")"
		made+=("$ns")
		printf -v "$name" %s "$ns"
		ip -n "$ns" link set lo up
		in_ns "$ns" sysctl -qw net.ipv6.conf.{all,default}.accept_dad=0 \
			net.ipv6.conf.{all,default}.router_solicitations=0
	done
}

in_ns() {
	ip netns exec "$@"
}

# No IPv6 at all: nothing is sent that the test does not send.
silence() {
	local ns
	for ns; do
		in_ns "$ns" sysctl -qw net.ipv6.conf.{all,default}.disable_ipv6=1
	done
}

is_up() { # NS IF
	ip -n "$1" link show up dev "$2" 2>/dev/null | grep -q .
}

# within SECONDS WHAT COMMAND...: until it succeeds.
within() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	while ((SECONDS < end)); do
		"$@" && return
		sleep 0.05
	done
	fail "waited in vain for $what"
}

wait_for() {
	within 20 "$@"
}

runs=0
# begin PROGRAM...: run it in the background; pid in $link, output in $report and $log.
begin() {
	report=$dir/$((++runs)).json log=$dir/$runs.log
	"$@" >"$report" 2>"$log" &
	link=$!
	pids+=("$link")
	while [[ /proc/$link/exe -ef /proc/$$/exe ]]; do :; done # until it is that program, not us
}

alive() {
	kill -0 "$link" 2>/dev/null
}

reported_or_ended() {
	[[ -s $report ]] || ! alive
}

# start [OPTION...] PORT PORT: sluice link; returns when it runs.
start() {
	begin "$sluice" link --json --stats 0.1 "$@"
	wait_for 'the first report' reported_or_ended
	alive || fail "sluice link $* did not start"
}

# ended [STATUS]: the process in $link must end by itself, with this status.
ended() {
	local status=0 wanted=${1:-0}
	wait_for 'the end of sluice' gone "$link"
	wait "$link" || status=$?
	((status == wanted)) || fail "sluice ended with $status, not $wanted"
}

gone() {
	[[ ! -e /proc/$1 || $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) == [Z] ]]
}

# stop [SIGNAL]: it must end cleanly, and its reports must be as documented.
stop() {
	kill -"${1:-TERM}" "$link"
	ended
	"$python" -B "$here/report.py" --check "$report"
}

# value EXPRESSION: of the last report; see report.py for what there is.
value() {
	"$python" -B "$here/report.py" "$report" "$1"
}

reports() {
	[[ $(value "$1") == True ]]
}

# holds EXPRESSION: it must be true of the last report.
holds() {
	reports "$1" || fail "not so: $1"
}

traffic() {
	timeout 60 "$python" -B "$here/traffic.py" "$@"
}

capture() {
	timeout 60 "$python" -B "$here/capture.py" "$@"
}

# no_checksum_errors NS...: the kernel there has seen none.
no_checksum_errors() {
	local ns
	for ns; do
		in_ns "$ns" nstat -asz | awk '/CsumErrors/ && $2 > 0 { print; bad = 1 } END { exit bad }' ||
			fail "wrong checksums arrived in $ns"
	done
}

# refused STATUS REGEX COMMAND...: it must end at once with this status and say so on standard error.
refused() {
	local wanted=$1 regex=$2 status=0
	shift 2
	timeout 20 "$@" >"$dir/out" 2>"$dir/err.log" </dev/null || status=$?
	[[ $status == "$wanted" ]] || fail "$*: ended with $status, not $wanted: $(cat "$dir/err.log")"
	grep -Eq -- "$regex" "$dir/err.log" || fail "$*: not /$regex/ but: $(cat "$dir/err.log")"
}
