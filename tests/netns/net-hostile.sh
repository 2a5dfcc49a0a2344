#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Drivers over vhost-user that hold packets up, break a queue with packets lent, and block the eventfd that they are to be told
# by: queues stop, others are served, the process ends when it is told to. Without privileges.
# usage: net-hostile.sh SLUICE
set -eu
dir=$(mktemp -d /tmp/slt-XXXXXX)
trap 'rm -rf "$dir"' EXIT
timeout 200 "${PYTHON:-python3}" -B "$(dirname "$0")/net_hostile.py" "$(realpath "$1")" "$dir"
