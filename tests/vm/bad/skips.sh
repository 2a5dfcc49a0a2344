#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Lacks what its header should have asked for.
. "$(dirname "$0")/../guest.sh"
echo 'SKIP: no spoon'
exit 77
