#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Does not come to its end.
# guest: seconds 3
. "$(dirname "$0")/../guest.sh"
exec sleep 1000
