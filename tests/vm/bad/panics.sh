#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A real fault in the kernel, in the middle of the test.
. "$(dirname "$0")/../guest.sh"
ok 'so far'
echo c >/proc/sysrq-trigger
