#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# One thing is so, another is not.
. "$(dirname "$0")/../guest.sh"
ok 'true is true'
[[ $(uname -s) == Windows ]]
ok 'it is Windows'
