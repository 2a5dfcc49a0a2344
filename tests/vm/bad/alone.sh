#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Asks for a script beside QEMU that there is not.
# guest: host no_such.py
. "$(dirname "$0")/../guest.sh"
