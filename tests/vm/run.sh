#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Boots a stock Debian kernel, or one of kernel-build.sh, in QEMU, runs one test inside, and says in TAP what came of it.
# usage: run.sh 6.1|6.12|6.12-cloud|6.12-iommufd[-cdev]|6.12-kasan TEST.sh [ARGUMENT...]
#
# TEST.sh is run in the guest by bash, under its own path, with the same arguments. An argument that is a file is there
# too, with the libraries it needs: the sluice to test. Comments in TEST.sh say what else it needs; each may be there more
# than once:
#
#	# guest: kernels 6.12 6.12-cloud      other kernels are skipped
#	# guest: modules tun veth             of the kernel's; loaded before the test with what they depend on
#	# guest: our-modules uio_msix         of kmod/, built for this kernel; the test loads it: load in guest.sh
#	# guest: programs ping nstat          of this machine, copied with their libraries; busybox has the rest
#	# guest: python ../netns/traffic.py   scripts that it runs, copied with what they import
#	# guest: files ../netns/lib.sh        others
#	# guest: machine pc                   (q35)
#	# guest: memory 1024                  MB (512)
#	# guest: seconds 120                  for the test itself (60)
#	# guest: tcg single                   one thread for all emulated processors (multi)
#	# guest: qemu -device edu             options of QEMU; $dir in them is a folder of this run
#	# guest: append intel_iommu=on        to the kernel's command line
#	# guest: host qmp.py                  scripts that run beside QEMU, on this machine, with $dir and the ARGUMENTs; each
#	                                      says "ready"; in $dir is also what is booted, vmlinux and initrd
#
# The test says "ok - WHAT" for each thing that it has found to be so ("ok - WHAT # SKIP why" where this kernel cannot),
# and ends with a status other than 0 when one is not. A guest has what the test asks for, so that 77, which is to skip
# elsewhere, is a failure too. Whatever the test says, it has failed if the guest does not come to its end in time, if
# the kernel complains, or if something is left behind: see init.
# 6.12-kasan, a kernel that watches itself, is slow: three times all seconds and twice the memory.
# VM_BOOT_SECONDS (120) is what booting and powering off may take. The console of a guest that failed is kept.
set -eu
kernel=${1:?usage: $0 KERNEL TEST.sh [ARGUMENT...]}
test=$(realpath "${2:?usage: $0 KERNEL TEST.sh [ARGUMENT...]}")
shift 2
here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$test" .sh)-$kernel
kept=$(realpath -m "$here/../../build/vm/failed")/$name
dir=$(mktemp -d /tmp/slt-XXXXXX)
guest=
hosts=() ours=()
points=0 bad=0
PATH=$PATH:/usr/sbin:/sbin # for who is not root

stop_hosts() {
	local pid
	for pid in "${hosts[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	hosts=()
}

# shellcheck disable=SC2317 # by the trap
cleanup() {
	if [[ -n $guest ]]; then # timeout hands TERM on to QEMU; KILL would only end timeout
		kill -TERM "$guest" 2>/dev/null || true
		wait "$guest" || true
	fi
	stop_hosts
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM

skip() {
	echo "1..0 # SKIP $*"
	exit 0
}

point() { # "ok"|"not ok" WHAT
	echo "$1 $((++points)) - $2"
	[[ $1 == ok ]] || bad=1
}

asked() { # KEY [DEFAULT]
	local found
	found=$(sed -n "s/^# guest: $1 //p" "$test" | paste -sd ' ')
	echo "${found:-${2-}}"
}

# The words of an option, each made to a path if it is a file beside the test.
beside() {
	local word
	for word in $(asked "$1"); do
		realpath "$(dirname "$test")/$word"
	done
}

build_ours() {
	local word folder file status
	for word in $(asked our-modules); do
		status=0
		folder=$here/$word
		[[ $word == */* ]] || folder=$here/../../kmod/$word
		file=$("$here/module.sh" "$kernel" "$folder") || status=$?
		((status != 77)) || skip "${file#SKIP: }"
		((status == 0)) || {
			echo "FAIL: $word does not build for Linux $kernel"
			exit 1
		}
		ours+=("$file")
	done
}

prepare() {
	local tree=$1 seconds=$2 word pack=()
	shift 2
	for word in $(asked modules); do
		pack+=(-m "$word")
	done
	for word in "${ours[@]}"; do
		pack+=(-o "$word")
	done
	while read -r word; do
		pack+=(-p "$word")
	done < <(beside python)
	mapfile -t -O ${#pack[@]} pack < <(beside files)
	for word in $(asked programs); do
		pack+=("$word")
	done
	for word; do
		[[ ! -f $word ]] || pack+=("$word")
	done
	"$here/pack.sh" "$dir/packed" "$tree" "${pack[@]}" "$(realpath "$here/guest.sh")" \
		"$(realpath "$here/../netns/netns.py")" "$test"
	# A second archive behind the first: what is of this run.
	mkdir -p "$dir/own/etc"
	chmod 755 "$dir/own" "$dir/own/etc"
	cat >"$dir/own/etc/guest" <<-END
		GUEST_TEST=$(printf %q "$test")
		GUEST_SECONDS=$seconds
		GUEST_ARGUMENTS=$(printf %q "$(printf '%q ' "$@")")
		export GUEST_KERNEL=$kernel
	END
	(cd "$dir/own" && find . | cpio -o -H newc -R 0:0 --quiet) | cat "$dir/packed" - >"$dir/initrd"
	ln -s "$tree/vmlinux" "$dir/vmlinux"
}

start_hosts() { # ARGUMENT...
	local script said end=$((SECONDS + 20))
	while read -r script; do
		said=$dir/$(basename "$script").log
		"${PYTHON:-python3}" -B "$script" "$dir" "$@" >"$said" 2>&1 7>&- &
		hosts+=($!)
		until [[ -s $said ]] || ((SECONDS >= end)); do
			sleep 0.05
		done
		[[ $(head -n 1 "$said") == ready ]] || {
			echo "FAIL: $script is not ready: $(tail -n 1 "$said")"
			exit 1
		}
	done < <(beside host)
}

# boot TREE SECONDS: until it powers off or the time is over; the status is timeout's
boot() {
	local words append status=0
	accel=$("$here/accel.sh" "$1/vmlinux")
	accel=${accel/thread=multi/thread=$(asked tcg multi)}
	words=$(asked qemu)
	words=${words//\$dir/$dir}
	append="console=ttyS0 quiet panic=-1 oops=panic log_buf_len=4M $(asked append)"
	# Where the processor is emulated it is this machine's other work that makes it stall.
	[[ $accel != *tcg* ]] || append+=' no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1'
	# shellcheck disable=SC2086 # lists of words
	timeout -k 5 "$2" qemu-system-x86_64 -machine "$(asked machine q35)" $accel -smp 2 -m "$memory" \
		-nodefaults -display none -no-reboot -kernel "$1/vmlinux" -initrd "$dir/initrd" -append "$append" \
		-serial "file:$dir/console" -serial "file:$dir/said" $words </dev/null >"$dir/qemu" 2>&1 7>&- &
	guest=$!
	wait "$guest" || status=$?
	guest=
	return "$status"
}

# As many guests at a time as there are processors: an emulated one keeps about one busy.
take_turn() {
	local turn dir=$here/../../build/vm
	while :; do
		for ((turn = 0; turn < $(nproc); turn++)); do
			exec 7>"$dir/turn-$turn.lock"
			! flock -n 7 || return 0
		done
		sleep 0.2
	done
}

# The test's own points, and a last one for its status.
test_ended() { # STATUS
	case $1 in
	0) point ok "$name" ;;
	77) point 'not ok' "$name: the guest lacks what it needs: ${reason:-no reason given}" ;;
	124 | 137 | 143) point 'not ok' "$name: not done after $seconds s, ended by force" ;;
	*) point 'not ok' "$name: ended with $1" ;;
	esac
}

# Has QEMU 7.2 failed by itself, in a way that is known? Its e1000e asserts that MSI-X is still on when its throttling timer
# ends; its emulated processor stumbles now and then over a kernel that patches its own code.
not_ours() {
	local known='e1000e_intrmgr_on_msix_throttling_timer: Assertion'
	fault=
	! grep -q "$known" "$dir/qemu" || fault=$known
	if [[ $accel == *tcg* ]] && grep -aq 'Oops: int3' "$dir/console"; then
		fault='int3 in an emulated guest'
	fi
	[[ -n $fault ]]
}

# What the guest said, as TAP.
judge() { # RELEASE
	local line log=0 left=0 ended=0
	while IFS= read -r line; do
		case $line in
		"%% begin $1") point ok "boots $1" ;;
		'%% begin '*) point 'not ok' "boots $1: it is ${line#'%% begin '}" ;;
		'%% status '*) test_ended "${line#'%% status '}" ;;
		'%% log '*) log=1 && echo "# kernel: ${line#'%% log '}" ;;
		'%% left '*) left=1 && echo "# left behind: ${line#'%% left '}" ;;
		'%% lost '*) left=1 && echo "# not there any more: ${line#'%% lost '}" ;;
		'%% end') ended=1 ;;
		'%% qmp '* | '%% host '*) ;;
		'ok '* | 'not ok '*)
			[[ $line =~ ^(ok|not ok)( +[0-9]+)?( +-)?\ +(.*)$ ]] && point "${BASH_REMATCH[1]}" "${BASH_REMATCH[4]}"
			;;
		*)
			[[ $line != SKIP:* ]] || reason=${line#SKIP: }
			echo "# $line"
			;;
		esac
	done < <(tr -d '\r' <"$dir/said")
	if ((ended)); then
		point "$( ((log)) && echo 'not ok' || echo ok)" 'no complaint in the log of the kernel'
		point "$( ((left)) && echo 'not ok' || echo ok)" 'nothing left behind'
	fi
	return $((!ended))
}

arguments=() # a file under its whole path, which is its path in the guest too
for word; do
	[[ ! -f $word ]] || word=$(realpath "$word")
	arguments+=("$word")
done
[[ " $(asked kernels "$kernel") " == *" $kernel "* ]] || skip "not for this kernel, only for: $(asked kernels)"
for program in qemu-system-x86_64 busybox cpio modinfo xz; do
	type -P "$program" >/dev/null || skip "no $program here; make check installs it"
done
for program in $(asked programs); do
	type -P "$program" >/dev/null || skip "no $program here"
done
tree=$("$here/kernel.sh" "$kernel") || skip "${tree#SKIP: }"
build_ours
seconds=$(asked seconds 60) boot_seconds=${VM_BOOT_SECONDS:-120} memory=$(asked memory 512)
if [[ $kernel == *-kasan ]]; then
	seconds=$((3 * seconds)) boot_seconds=$((3 * boot_seconds)) memory=$((2 * memory))
fi
reason=
rm -rf "$kept"
echo 'TAP version 13'
prepare "$tree" "$seconds" "${arguments[@]}"
limit=$((seconds + boot_seconds))
status=0
take_turn
for try in 1 2; do
	status=0
	start_hosts "${arguments[@]}"
	boot "$tree" "$limit" || status=$?
	stop_hosts
	if ((try == 2)) || ! not_ours; then
		break
	fi
	echo "# $fault: not the test's fault, once more"
	rm -f "$dir"/*.log # of the scripts beside it, which say "ready" anew
	cp "$dir/qemu" "$dir/first.log"
	rm -f "$dir"/{console,said,qemu}
	find "$dir" -type s -delete
done
if ! judge "$(basename "$tree"/lib/modules/*)"; then
	how="QEMU ended with $status"
	((status != 124 && status != 137)) || how="nothing after $limit s"
	! grep -q 'Kernel panic' "$dir/console" || how='the kernel panicked'
	point 'not ok' "the guest comes to its end: $how"
	{
		cat "$dir/qemu"
		grep -aE 'BUG:|Oops|Kernel panic|emulation failure' "$dir/console" | head -n 5
		tail -n 40 "$dir/console"
	} 2>/dev/null | tr -d '\r' | sed 's/^/# /'
fi
if ((bad)); then
	mkdir -p "$kept"
	cp "$dir"/{console,said,qemu,*.log} "$kept/" 2>/dev/null || true
	echo "# the console is kept in $kept"
fi
echo "1..$points"
exit "$bad"
