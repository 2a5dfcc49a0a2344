#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Every benchmark, or those that are named: `make bench`. Tables on standard output, progress on
# standard error, both kinds of results in bench/results/NAME.md and NAME.json.
# usage: bench/run.sh [--quick] [ring|aead|segments|gen|tap|tunnel|nic|uio_msix|disk|vduse|uduse|vhost_net|vm_net]...
set -eu
cd "$(dirname "$0")/.."
build=build/release
results=bench/results
quick=
names=
for word; do
    case $word in
    --quick) quick=--quick ;;
    ring | aead | segments | gen | tap | tunnel | nic | uio_msix | disk | vduse | uduse | vhost_net | vm_net) names="$names $word" ;;
    *)
        echo "usage: bench/run.sh [--quick] [ring|aead|segments|gen|tap|tunnel|nic|uio_msix|disk|vduse|uduse|vhost_net|vm_net]..." >&2
        exit 2
        ;;
    esac
done
export SLUICE=$PWD/$build/src/sluice
if [ ! -x "$SLUICE" ]; then
    echo "$SLUICE is not built: call make all" >&2
    exit 1
fi
mkdir -p "$results"

version() { # COMMAND...: its first line
    "$@" 2>/dev/null | head -n 1 || true
}
header() {
    echo "# Benchmarks of $(version "$SLUICE" --version)"
    echo
    echo "- machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
        "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" \
        "$(grep -qw hypervisor /proc/cpuinfo && echo '(a virtual machine)')"
    echo "- system: Linux $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME")"
    echo "- date: $(date -u '+%F %H:%M') UTC, load $(cut -d ' ' -f 1-3 /proc/loadavg)${quick:+, --quick}"
    echo "- versions: $(version cc --version); $(version iperf3 --version | cut -d ' ' -f 1-2);" \
        "$(version valgrind --version); DPDK $(version pkg-config --modversion libdpdk)"
    echo
}

ring() {
    if [ ! -f bench/ring.c ]; then
        echo "SKIP: bench/ring.c is not there"
        return 77
    fi
    ninja -C "$build" --quiet bench/ring >&2
    # shellcheck disable=SC2046 # options
    "$build/bench/ring" --json $([ -z "$quick" ] || echo --rounds 3 --packets 2000000) >"$results/ring.json"
    {
        printf '### The ring against rte_ring, bursts of 32\n\n'
        python3 -B bench/report.py "$results/ring.json"
        echo
        # shellcheck disable=SC2086 # an option
        bench/ring.sh "$build/bench/ring" ${quick:+40000} || [ $? = 77 ]
        echo
    } | tee "$results/ring.md"
}

aead() {
    ninja -C "$build" --quiet bench/aead >&2
    # shellcheck disable=SC2046 # options
    "$build/bench/aead" --json $([ -z "$quick" ] || echo --rounds 5 --packets 5000) >"$results/aead.json"
    {
        printf '### Sealing and opening a packet\n\n'
        python3 -B bench/report.py "$results/aead.json"
        echo
    } | tee "$results/aead.md"
}

segments() {
    ninja -C "$build" --quiet bench/segments >&2
    # shellcheck disable=SC2046 # options
    "$build/bench/segments" --json $([ -z "$quick" ] || echo --rounds 5 --packets 5000) >"$results/segments.json"
    {
        printf '### Cutting and sealing, opening and putting together\n\n'
        python3 -B bench/report.py "$results/segments.json"
        echo
        # shellcheck disable=SC2086 # an option
        bench/segments.sh "$build/bench/segments" ${quick:+1000} || [ $? = 77 ]
        echo
    } | tee "$results/segments.md"
}

header | tee "$results/machine.md"
failed=0
for name in ${names:-ring aead segments gen tap tunnel nic uio_msix disk vduse uduse vhost_net vm_net}; do
    echo "$name: $(date +%T)" >&2
    status=0
    # Waited for in the background: a signal ends this script, and tells the benchmark, at once.
    case $name in
    ring | aead | segments) $name & ;;
    *) bench/$name.sh $quick & ;;
    esac
    child=$!
    trap 'kill $child 2>/dev/null; wait $child; exit 130' INT TERM HUP
    wait $child || status=$?
    [ $status = 0 ] || [ $status = 77 ] || { failed=1 && echo "FAIL: $name, status $status" >&2; }
done
echo "done: $(date +%T), results in $results/" >&2
exit $failed
