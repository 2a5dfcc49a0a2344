# SPDX-License-Identifier: BSD-2-Clause
# What tests in a guest share; source it first. Those that use namespaces source ../netns/lib.sh after it.
# shellcheck shell=bash
set -eEu
trap 'echo "FAIL: ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR

# ok WHAT: up to here this has held
ok() {
	echo "ok - $*"
}

# qmp COMMAND [JSON]: ask QEMU, with "guest: host qmp.py" and its socket; what it does shows in the guest
qmp() {
	echo "%% qmp {\"execute\": \"$1\", \"arguments\": ${2:-{\}}}"
}

# load MODULE [PARAM=...]...: one of ours, with "guest: our-modules"; rmmod takes it away
load() {
	insmod "/modules/ours/$1.ko" "${@:2}"
}
