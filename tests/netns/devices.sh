#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# devices, show, bind, unbind: on this machine, whatever it has, without changing anything; then on a made-up one,
# whose /sys, /run and /dev are this test's own in a mount namespace of its own.
# usage: devices.sh SLUICE KERNEL
((EUID == 0)) && [[ -z ${inside-} ]] && inside=1 exec unshare -mn "$BASH" "$0" "$@"
. "$(dirname "$0")/lib.sh"
kernel=$(realpath "$2")

"$sluice" devices --json >"$dir/real.json"
"$python" -B - "$dir/real.json" <<'END'
import json, os, sys
with open(sys.argv[1]) as file:
    listed = [d['address'] for d in json.load(file)['devices']]
bus = '/sys/bus/pci/devices'
assert listed == sorted(os.listdir(bus) if os.path.isdir(bus) else []), listed
END
"$sluice" devices >"$dir/real"

mounted=$(findmnt -nro MAJ:MIN / | head -n 1)
mkdir "$dir/sys" "$dir/dev"
"$python" -B "$here/pci_tree.py" "$dir/sys" "$mounted"
mkdir "$dir/run"
mount --bind "$dir/run" /run
mount -t tmpfs -o mode=0755 none "$dir/dev"
mknod -m 666 "$dir/dev/null" c 1 3
mknod -m 666 "$dir/dev/full" c 1 7
ln -s /proc/self/fd "$dir/dev/fd"
mkdir "$dir/dev/vfio" "$dir/dev/net"
touch "$dir"/dev/vfio/{vfio,7}
mount --move "$dir/dev" /dev
mount --bind "$dir/sys" /sys
[[ -e /sys/devices/pci0000:00/0000:00:07.0/config && ! -e /sys/kernel/mm ]] || fail 'this is not the made-up /sys'

# devices
"$sluice" devices >"$dir/list" 2>"$dir/list.err"
has() { # FILE REGEX...
	local file=$1 regex
	local text
	text=$(cat "$file")
	shift
	for regex; do
		grep -Eq -- "$regex" <<<"$text" || fail "no /$regex/ in: $text"
	done
}
has "$dir/list" '^ADDRESS +DRIVER +GROUP +NODE +INTx MSI MSI-X +DEVICE$' \
	'^0000:00:03.0  e1000e +7 +0 +1 +1 +5 +Ethernet controller: Intel Corporation 82574L Gigabit Network Connection$' \
	'^ +vfio: no, bound to e1000e: sluice bind 0000:00:03.0 vfio-pci$' \
	'^ +uio_msix: no, uio_msix, a module that comes with sluice, is not loaded: modprobe uio_msix$' \
	'^ +uio: no, an IOMMU translates its addresses' \
	'^0000:00:00.0  - +- +0 +0 +0 +0 +Host bridge: Intel' '^ +vfio, uio_msix, uio: no, a bridge, which no program drives$'
[[ $(grep -c '^0000' "$dir/list") == 5 ]]
has "$dir/list.err" '^sluice devices: 0000:00:07.0: cannot read .*vendor: No such file'
"$sluice" devices --json 2>"$dir/err" >"$dir/list.json"
"$python" -B - "$dir/list.json" <<'END'
import json, sys
with open(sys.argv[1]) as file:
    devices = {d['address']: d for d in json.load(file)['devices']}
card = devices['0000:00:03.0']
assert (card['vendor'], card['device'], card['class']) == ('8086', '10d3', '020000'), card
assert card['driver'] == 'e1000e' and card['iommu_group'] == 7 and card['numa_node'] == 0, card
assert card['vectors'] == {'intx': 1, 'msi': 1, 'msix': 5}, card
assert list(card['ways']) == ['vfio', 'uio_msix', 'uio'] and card['ways']['uio_msix']['ok'] is False, card
assert card['ways']['vfio'] == {'ok': False, 'reason': 'bound to e1000e: sluice bind 0000:00:03.0 vfio-pci'}, card
assert devices['0000:00:00.0']['driver'] is None and devices['0000:00:00.0']['iommu_group'] is None
assert len(devices) == 5
END

# show
"$sluice" show 00:03.0 >"$dir/show"
has "$dir/show" '^0000:00:03.0 Ethernet controller: Intel .* \[8086:10d3\]$' '^  driver +e1000e$' \
	'^  IOMMU group +7: 0000:00:03.0 \(e1000e\), 0000:00:04.0 \(e1000e\)$' '^  BAR 3 +32 bit memory, 0x4000 bytes at 0xfea80000$' \
	'^  BAR 2 +I/O ports, 0x20 bytes' '^  ROM +expansion ROM, 0x40000 bytes' '^  INTx +A$' '^  MSI +1 vector, 64 bit address$' \
	'^  MSI-X +5 vectors, table in BAR 3 at 0x0, PBA in BAR 3 at 0x2000, enabled$' \
	'at 0x0c8: 01, PCI Power Management Interface$' 'at 0x0e0: 10, PCI Express$' '^  power +D0, enabled$' '^  reset +flr pm \(it has FLR\)$'
"$sluice" show 00:06.0 >"$dir/show"
has "$dir/show" '^  flaw +a capability list loops$' 'table in BAR 6 .*; the MSI-X table is in BAR 6, which is no memory$'
"$sluice" show 00:05.0 >"$dir/show"
has "$dir/show" '^  in use +0000:00:05.0: its disk nvme0n1 is mounted$'
for address in 00:00.0 00:03.0 00:06.0; do
	"$sluice" show $address --json | "$python" -c '
import json, sys
d = json.load(sys.stdin)
assert set(d) >= {"address", "bars", "config", "group", "in_use", "power_state", "reset_methods", "ways", "restores_to"}, d
if d["address"] == "0000:00:03.0":
    assert [m["driver"] for m in d["group"]] == ["e1000e"] * 2 and d["config"]["msix"]["pba_offset"] == 0x2000, d
    assert [c["name"] for c in d["config"]["capabilities"]][-1] == "MSI-X" and d["config"]["flr"] is True, d
    assert [b["bar"] for b in d["bars"]] == [0, 1, 2, 3, None] and d["bars"][3]["length"] == 0x4000, d'
done

# bind and unbind
export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0
with_kernel() {
	LD_PRELOAD=$kernel "$sluice" "$@"
}
driver_of() {
	basename "$(readlink "/sys/bus/pci/devices/0000:00:$1/driver" || echo none)"
}
[[ $(with_kernel bind 00:03.0 vfio-pci 2>"$dir/bind.err") == '0000:00:03.0: vfio-pci' ]]
has "$dir/bind.err" '^sluice bind: not usable yet: IOMMU group 7 is not viable: 0000:00:04.0 is still bound to e1000e$'
[[ $(driver_of 03.0) == vfio-pci && $(cat /run/sluice/bind/0000:00:03.0) == *driver=e1000e* ]]
[[ $(with_kernel bind 0000:00:04.0 vfio-pci 2>&1) == '0000:00:04.0: vfio-pci' ]]
"$sluice" devices 2>/dev/null | has - '^ +vfio: yes$'
has <("$sluice" show 00:03.0) '^  restores to +e1000e$' '^  driver +vfio-pci, and none but vfio-pci$'
refused 1 'did not take it; the last lines of dmesg may say why; it is back with vfio-pci$' \
	env REFUSES=uio_pci_generic LD_PRELOAD="$kernel" "$sluice" bind 00:03.0 uio_pci_generic
[[ $(with_kernel unbind --restore 00:03.0) == '0000:00:03.0: e1000e' && $(driver_of 03.0) == e1000e ]]
[[ ! -e /run/sluice/bind/0000:00:03.0 ]]
[[ $(with_kernel unbind 00:04.0) == '0000:00:04.0: no driver' && $(driver_of 04.0) == none ]]
[[ $(with_kernel unbind 00:04.0 --restore) == '0000:00:04.0: e1000e' ]]
refused 1 '0000:00:05.0: its disk nvme0n1 is mounted; it is left alone unless forced' env LD_PRELOAD="$kernel" "$sluice" bind 00:05.0 vfio-pci
[[ $(driver_of 05.0) == nvme ]]
with_kernel bind 00:05.0 vfio-pci --force >"$dir/out" 2>&1
[[ $(driver_of 05.0) == vfio-pci ]]

# Each line: the command, the exit status, then what it must say.
while IFS='|' read -r words status regex; do
	# shellcheck disable=SC2086
	refused "${status// /}" "${regex# }" "$sluice" $words
done <<'END'
devices 00:03.0               | 2 | "00:03.0" is too much
devices --jsno                | 2 | no option "--jsno"; did you mean "--json"\?
show                          | 2 | whose address\? sluice devices lists them
show 03.0                     | 2 | "03.0" is no PCI address such as 0000:00:03.0 or 00:03.0
show 00:03.0 00:04.0          | 2 | "00:04.0" is too much
show -x                       | 2 | no option "-x"
show 00:09.0                  | 1 | there is no PCI device 0000:00:09.0: sluice devices lists all
show 00:07.0                  | 1 | cannot read .*vendor
bind                          | 2 | whose address\?
bind 00:03.0                  | 2 | which driver\? vfio-pci, uio_msix or uio_pci_generic
bind 00:03.0 uio_msix         | 1 | the kernel has no PCI driver uio_msix loaded: modprobe uio_msix
bind 00:03.0 vfio-pci now     | 2 | "now" is too much
bind 00:03.0 ../x             | 2 | "../x" cannot be the name of a driver
bind 00:03.0 igb_uio          | 1 | the kernel has no PCI driver igb_uio loaded: modprobe igb_uio
bind 00:00.0 vfio-pci         | 1 | 0000:00:00.0 is a bridge
unbind                        | 2 | whose address\?
unbind 00:03.0 --restore      | 1 | no driver is remembered
unbind --restroe 00:03.0      | 2 | did you mean "--restore"\?
END
mount -o remount,bind,ro /sys
refused 1 'is read-only here: run outside of this container' "$sluice" bind 00:03.0 vfio-pci

for command in devices show bind unbind; do
	[[ $("$sluice" help $command) == "$("$sluice" $command --help)" ]]
	has <("$sluice" $command --help) '^Usage: sluice' '^Examples:$'
	"$sluice" help | has - "sluice $command "
done
[[ $("$sluice" complete -- show 0000:00:03 | xargs) == 0000:00:03.0 ]]
[[ $("$sluice" complete -- bind 0000:00:03.0 v | xargs) == vfio-pci ]]
[[ $("$sluice" complete -- unbind 00:03.0 --r | xargs) == --restore ]]

# No PCI at all.
mount -t tmpfs none /sys
[[ $("$sluice" devices) == 'No PCI devices: there is no PCI on this machine: no /sys/bus/pci/devices.' ]]
[[ $("$sluice" devices --json | xargs) == *'devices:['*']'* ]]
mkdir -p /sys/bus/pci/devices
[[ $("$sluice" devices) == 'No PCI devices: the bus is empty.' ]]
umount /sys
