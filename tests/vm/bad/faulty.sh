#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Goes well, but what a kernel that watches itself looks for has happened.
# guest: kernels 6.12-kasan
# guest: our-modules bad/faulty
. "$(dirname "$0")/../guest.sh"
# The first two before the others: locks are not looked at after some faults.
for fault in rcu locks atomic_sleep shift dma use_after_free leak; do
	load faulty fault=$fault
	rmmod faulty
done
