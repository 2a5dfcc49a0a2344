#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Goes well, but the kernel's log has a warning. No stock kernel has a switch for a real one, so it is a forged line.
. "$(dirname "$0")/../guest.sh"
echo 'WARNING: CPU: 0 PID: 1 at kernel/forged.c:1' >/dev/kmsg
