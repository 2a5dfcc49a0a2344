#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The module uio_msix, and how a program may end: killed at random moments under traffic while a canary sits in what was its
# memory; fork and namespaces; unplugged, unbound, put to sleep under traffic; reset, and a device that has none.
# usage: uio_msix-life.sh SLUICE DRIVE UM
# guest: our-modules uio_msix
# guest: modules virtio_pci virtio_net
# guest: programs ip
# guest: qemu -netdev hubport,id=h1,hubid=0 -netdev hubport,id=h2,hubid=0 -device virtio-net-pci,netdev=h2,addr=3,romfile=
# guest: qemu -device pcie-root-port,id=r1,chassis=1,addr=4 -device e1000e,id=nic,bus=r1,netdev=h1,romfile=
# guest: qemu -blockdev null-co,node-name=zeroes,size=16777216,read-zeroes=on
# guest: qemu -blockdev null-co,node-name=others,size=16777216,read-zeroes=on
# guest: qemu -device pcie-root-port,id=r2,chassis=2,addr=5 -device nvme,id=disk,bus=r2,serial=1,drive=zeroes,max_ioqpairs=8
# guest: qemu -device pcie-root-port,id=r3,chassis=3,addr=6 -device edu,bus=r3,dma_mask=0xffffffff
# guest: qemu -device edu,addr=7,dma_mask=0xffffffff -netdev hubport,id=h3,hubid=0
# guest: qemu -device pcie-pci-bridge,id=bridge,addr=8 -device e1000e,bus=bridge,addr=1,netdev=h3,romfile=
# guest: qemu -qmp unix:$dir/qmp,server=on,wait=off
# guest: host qmp.py
# guest: files pci.sh
# guest: seconds 300
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
um=$3 driver=/sys/bus/pci/drivers/uio_msix
nic=0000:01:00.0 disk=0000:02:00.0 edu=0000:03:00.0 second=0000:04:01.0 stubborn=0000:00:07.0
# Another node than the first disk's: QEMU 7.2 may keep an nvme for ever, and so its node, that was unplugged at work.
declare -A plugs=([$nic]='"driver": "e1000e", "id": "nic", "bus": "r1", "netdev": "h1", "romfile": ""'
	[$disk]='"driver": "nvme", "id": "disk", "bus": "r2", "serial": "1", "drive": "others", "max_ioqpairs": 8')
declare -A kinds=([$nic]=nic [$disk]=nvme) ids=([$nic]=nic [$disk]=disk)

load uio_msix
take uio_msix $nic $disk $edu $second $stubborn
# QEMU's e1000e comes back from D3 as it was, though it says that it is reset then: who makes $nic bus master again has to
# stop it first. Behind a bridge there is another reset.
echo bus >"$devices/$second/reset_method"
interface=$(basename "$devices"/0000:00:03.0/virtio*/net/*)
ip link set "$interface" up
"$um" send "$interface" &
sender=$!

"$um" forks $edu
"$um" namespaces $edu
"$um" reset $edu
"$um" unclean $stubborn new
"$um" unclean $stubborn used
echo $stubborn >$driver/unbind
take uio_msix $stubborn
"$um" unclean $stubborn used
ok 'nor does a new binding make it clean'

# um_holds ADDRESS: a program with traffic, in the background: $holder, its words in "$held"
um_holds() {
	held=/tmp/held
	: >"$held"
	"$um" hold "$1" "${kinds[$1]}" >"$held" 2>&1 &
	holder=$!
	until_so grep -q '^held\|FAIL' "$held"
}

# lost: it has noticed, and still has everything open
lost() {
	until_so grep -q '^gone\|FAIL' "$held"
	grep -q '^gone' "$held" || cat "$held"
}

# ended: it was told to, and found nothing else in the meantime
ended() {
	kill -TERM "$holder" || true
	let_go gone
}

# is_off ADDRESS: an nvme that nobody drives: NVM Express 1.4, 3.1.5, CC
is_off() {
	local start
	read -r start _ <"$devices/$1/resource"
	[[ $(devmem $((start + 0x14)) 32) == 0x00000000 ]]
}

for device in $nic $disk; do
	um_holds "$device"
	says 'busy|in use|temporarily unavailable' rmmod uio_msix
	begin=${EPOCHREALTIME/./}
	echo "$device" >$driver/unbind
	((${EPOCHREALTIME/./} - begin < 2000000))
	lost
	[[ ! -e /dev/uio_msix/"$device" ]]
	[[ $device == "$nic" || ! -e /dev/mem ]] || is_off "$device"
	# Another program has it while the one who lost it is still there.
	take uio_msix "$device"
	"$um" open "$device"
	says 'busy|in use|temporarily unavailable' rmmod uio_msix
	ended
	"$um" open "$device"
	ok "$device: unbound under a program and its traffic, at once"

	um_holds "$device"
	qmp device_del "{\"id\": \"${ids[$device]}\"}"
	lost
	until_so test ! -e "$devices/$device"
	plug_in "$device" "{${plugs[$device]}}"
	take uio_msix "$device"
	"$um" open "$device"
	ended
	ok "$device: unplugged under a program and its traffic; plugged in anew, it works"
done

# All that sleep is, but for the sleeping: devices are suspended and resumed.
asleep() {
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	echo devices >/sys/power/pm_test
	um_holds $disk
	echo freeze >/sys/power/state
	lost
	"$um" open $disk 16
	ended
	"$um" cleaned $disk
}
what='the machine went to sleep: what was open is lost; what is opened then has to be reset first'
if [[ -e /sys/power/pm_test ]]; then
	asleep
	ok "$what"
else
	ok "$what # SKIP this kernel cannot try that"
fi

"$um" kills $second nic 50
"$um" kills $disk nvme 50
left=$(grep -c uio_msix /proc/interrupts || true)
[[ $left == 0 ]]
{ kill -KILL $sender && wait $sender || true; } 2>/dev/null
ip link set "$interface" down

(exec 7<>/dev/uio_msix/$edu && says 'busy|in use|temporarily unavailable' rmmod uio_msix)
rmmod uio_msix
[[ ! -e /dev/uio_msix && ! -e $driver ]]
load uio_msix
take uio_msix $nic
"$um" open $nic
"$sluice" unbind $nic >/dev/null
for device in $disk $edu $second $stubborn; do
	"$sluice" unbind "$device" >/dev/null
done
rmmod uio_msix
ok 'the module: busy while it is in use, then gone, then there again'
