# SPDX-License-Identifier: BSD-2-Clause
# What the tests of uduse share: `sluice io uduse:` listens at $sock, `sluice serve` connects. No rights are needed.
# shellcheck shell=bash disable=SC2034 # for lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/serve-lib.sh"
mkdir "$dir/at" # for the log beside it: lib.sh prints what is in $dir
sock=$dir/at/disk.sock
via=uduse:path=$sock
at=uduse:$sock

# drives ARGUMENT...: and to its end
drives() {
	io "$@"
	io_said "o['final'] and o['errors'] == 0 and o['mismatches'] == 0"
}
