#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The examples in kmod/uio_msix/examples do what they say: udev gives a device to uio_msix when it appears, and its node to a
# group; modprobe knows the options.
# guest: our-modules uio_msix
# guest: programs udevadm
# guest: files ../../kmod/uio_msix/examples/60-uio_msix.rules ../../kmod/uio_msix/examples/uio_msix.conf
# guest: qemu -device pcie-root-port,id=root,addr=5 -qmp unix:$dir/qmp,server=on,wait=off
# guest: host qmp.py
# guest: files pci.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/pci.sh"
examples=$(dirname "$0")/../../kmod/uio_msix/examples
plug=0000:01:00.0
node=/dev/uio_msix/$plug

options=$(sed -n 's/^options uio_msix //p' "$examples/uio_msix.conf")
# shellcheck disable=SC2086 # a list of words
load uio_msix $options
for option in $options; do
	value=$(cat "/sys/module/uio_msix/parameters/${option%=*}")
	[[ $(tr YN 10 <<<"$value") == "${option#*=}" ]]
done
ok 'the module takes the options of modprobe.d, and they are its defaults'

mkdir -p /etc/udev/rules.d
echo 'sluice:x:77:' >/etc/group
sed "s/0000:03:00.0/$plug/" "$examples/60-uio_msix.rules" >/etc/udev/rules.d/60-uio_msix.rules
ln -s "$(type -P udevadm)" /tmp/systemd-udevd # it is told by its name what it is
/tmp/systemd-udevd &
daemon=$!
until_so test -S /run/udev/control
udevadm control --ping
qmp device_add '{"driver": "edu", "id": "plug", "bus": "root"}'
until_so test -e $node
udevadm settle
[[ $(driver_of $plug) == uio_msix ]]
[[ $(stat -c '%a %g' $node) == '660 77' ]]
ok "a device that appears is uio_msix's, its node the group's"

kill $daemon
wait $daemon || true
rm -r /etc/udev /etc/group /tmp/systemd-udevd /run/udev
qmp device_del '{"id": "plug"}'
until_so test ! -e $node
rmmod uio_msix
