#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Asks for a module of ours that does not build.
# guest: our-modules bad/broken
. "$(dirname "$0")/../guest.sh"
