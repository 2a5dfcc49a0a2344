# SPDX-License-Identifier: BSD-2-Clause
# Packages of Debian's as files, for who sources this: nothing is installed.
# shellcheck shell=bash

# As root, apt would fetch as a user who cannot write here.
download() {
	timeout 900 apt-get download -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@" 2>&1
}

# fetch COMMAND...: download, or what ends in it. A list of yesterday may name what is no longer there.
fetch() {
	"$@" >log || { ((EUID == 0)) && apt-get update -qq >log 2>&1 && "$@" >log; }
}
