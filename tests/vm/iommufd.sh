#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Devices driven over VFIO by iommufd: two in a space, by opened descriptors, as another user, one program at a time, what
# is locked, DMA that is blocked; with groups beside them and without. vfio.sh has what is alike in both ways.
# guest: kernels 6.12-iommufd 6.12-iommufd-cdev 6.12-kasan
# guest: modules vfio-pci
# guest: programs setpriv prlimit
# guest: machine q35,kernel-irqchip=split
# guest: qemu -device intel-iommu,intremap=on -device edu,addr=3,dma_mask=0xffffffff
# guest: qemu -device edu,addr=4.0,multifunction=on,dma_mask=0xffffffff -device edu,addr=4.1,dma_mask=0xffffffff
# guest: files pci.sh
# guest: seconds 180
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
edu=0000:00:03.0 second=0000:00:04.0 beside=0000:00:04.1

# node ADDRESS: the device's own file
node() {
	echo "/dev/vfio/devices/$(ls "$devices/$1/vfio-dev")"
}
take vfio-pci $edu $second $beside
[[ $(group_of $second) == "$(group_of $beside)" && $(group_of $second) != "$(group_of $edu)" ]]
if [[ $GUEST_KERNEL == *-cdev ]]; then
	[[ ! -e /dev/vfio/vfio && ! -e /dev/vfio/$(group_of $edu) ]]
else
	[[ -e /dev/vfio/vfio && -e /dev/vfio/$(group_of $edu) ]]
fi

"$sluice" devices | grep -A 1 "^$edu  vfio-pci" | grep -q '^ *vfio: yes$'
"$drive" memory $edu vfio 2000000 | tee /run/said
grep -q '^ok - vfio (iommufd): ' /run/said
"$drive" spaces $edu $second
"$drive" halt $edu $second
"$drive" apart $second $beside

# faulted read|write ADDRESS: of edu's DMA, in the kernel's log
faulted() {
	dmesg | grep -Eiq "DMAR: \[DMA $1[^]]*\] Request device \[${edu#0000:}\] fault addr $2 "
}
"$drive" isolation $edu | tee /run/said
outside=$(sed -n 's/^outside //p' /run/said) unmapped=$(sed -n 's/^unmapped //p' /run/said)
until_so faulted write "$outside"
until_so faulted read "$outside"
until_so faulted write "$unmapped"
ok 'the kernel has logged each DMA that was blocked, with its address'

hold $edu vfio
says "-16: $edu: it is open elsewhere" "$drive" memory $edu vfio 4096
kill -TERM "$holder"
let_go 'told to end'
hold $beside vfio
says "-1: $second: another device of its IOMMU group is open elsewhere" "$drive" memory $second vfio 4096
killed
"$drive" memory $second vfio 4096
ok 'one program at a time; after it ends, or is killed, the next'

# With root's descriptors: what nobody else could open is used by a user who is nobody.
says '-13: .* is not yours to read and write: as root, chown' as_user "$drive" memory $edu vfio 4096
as_user "$drive" descriptors $edu $second 3<>/dev/iommu 4<>"$(node $edu)" 5<>"$(node $second)"
chown 1000 "$(node $edu)" "$(node $second)"
says '-13: ' as_user "$drive" memory $edu vfio 4096
chown 1000 /dev/iommu
as_user "$drive" memory $edu vfio 1000000
ok 'who has the files drives it'

# 1000000 bytes are 245 pages.
limited() { # BYTES COMMAND...
	as_user prlimit --memlock="$1:$1" "${@:2}"
}
says '-12: .*1003520 bytes are to be locked .*RLIMIT_MEMLOCK is 65536' limited 65536 "$drive" memory $edu vfio 1000000
limited 1003520 "$drive" memory $edu vfio 1000000
held=/tmp/held
: >$held
limited 1500000 "$drive" lock $second 1000000 >$held 2>&1 &
holder=$!
until_so grep -q '^held' $held
says '-12: .*RLIMIT_MEMLOCK, 1500000 bytes, has been used up by other' limited 1500000 "$drive" memory $edu vfio 1000000
limited 2100000 "$drive" memory $edu vfio 1000000
kill "$(pidof drive)"
wait "$holder" || [[ $? == 143 ]]
rm $held
limited 1500000 "$drive" memory $edu vfio 1000000
ok 'what all programs of a user lock is limited, and it is said so'

rm -f /dev/vfio/vfio /dev/vfio/[0-9]*
as_user "$drive" memory $edu vfio 4096
rm "$(node $edu)"
says '-2: .*/dev/vfio/devices/vfio[0-9]+ is not there' "$drive" memory $edu vfio 4096
ok 'no files of groups are needed'
"$sluice" unbind $edu >/dev/null
"$sluice" unbind $second >/dev/null
"$sluice" unbind $beside >/dev/null
