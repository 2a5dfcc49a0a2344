#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Asks for a module that there is not.
# guest: kernels 6.1
# guest: modules no_such_module
. "$(dirname "$0")/../guest.sh"
