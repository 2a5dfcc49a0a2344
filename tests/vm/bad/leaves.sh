#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Goes well, and leaves a process, an interface and a file.
# guest: modules tun
. "$(dirname "$0")/../guest.sh"
sleep 1000 &
tunctl -t forgotten0
: >/tmp/forgotten
