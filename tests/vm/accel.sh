#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Prints QEMU's options for a processor: KVM where a kernel really boots under it, else software emulation.
# usage: accel.sh KERNEL-IMAGE
# On some cloud hosts /dev/kvm is there and a stock kernel dies under it, so it is tried: once after each boot of this
# machine.
set -eu
cache=$(cd "$(dirname "$0")/../.." && pwd)/build/vm
tcg='-accel tcg,thread=multi -cpu max'
kvm='-accel kvm -cpu host'

if [[ ! -w /dev/kvm ]]; then
	echo "$tcg"
	exit
fi
machine=$(cat /proc/sys/kernel/random/boot_id)
mkdir -p "$cache"
exec 9>"$cache/accel.lock"
flock 9
if [[ $(sed -n 1p "$cache/accel" 2>/dev/null) != "$machine" ]]; then
	dir=$(mktemp -d /tmp/slt-XXXXXX)
	trap 'rm -rf "$dir"' EXIT
	mkdir -p "$dir/root/bin" "$dir/root/dev"
	cp /bin/busybox "$dir/root/bin/"
	cat >"$dir/root/init" <<-'END'
		#!/bin/busybox sh
		busybox mount -t devtmpfs dev /dev
		echo it boots >/dev/ttyS0
		busybox poweroff -n -f
	END
	chmod 755 "$dir/root" "$dir/root/init"
	(cd "$dir/root" && find . | cpio -o -H newc --quiet) >"$dir/initrd"
	# shellcheck disable=SC2086 # a list of words
	{ timeout -k 1 20 qemu-system-x86_64 $kvm -machine q35 -m 512 -smp 2 -nodefaults -display none -no-reboot \
		-kernel "$1" -initrd "$dir/initrd" -append 'console=ttyS0 quiet panic=-1' \
		-serial "file:$dir/console" </dev/null || true; } >"$dir/qemu" 2>&1 # and what the shell says of an abort
	printf '%s\n' "$machine" "$(grep -q 'it boots' "$dir/console" 2>/dev/null && echo "$kvm" || echo "$tcg")" >"$cache/accel"
fi
sed -n 2p "$cache/accel"
