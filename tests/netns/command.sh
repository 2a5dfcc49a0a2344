#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# help, --version, probe, and the shell's completion.
. "$(dirname "$0")/lib.sh"

[[ $("$sluice" --version) =~ ^sluice\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
[[ $("$sluice" -V) == "$("$sluice" --version)" ]]
for help in help --help -h 'help help'; do
	# shellcheck disable=SC2086
	"$sluice" $help | grep -q 'sluice link *\[options\] PORT PORT'
done
refused 2 'Usage' "$sluice"
[[ $("$sluice" help link) == "$("$sluice" link --help)" ]]
[[ $("$sluice" help probe) == "$("$sluice" probe --help)" ]]
for word in --workers --poll --duration --stats --json --pcap tap: tun: pcap: gen: null: mtu=N netns=NAME vhost-user: vduse: uduse: virtio-user:; do
	"$sluice" help link | grep -q -- "  $word" || fail "help link does not name $word"
done
refused 1 'cannot write the output: No space left' bash -c '"$1" help >/dev/full' - "$sluice"

# probe: each check once, with a reason and a fix where it says no.
"$sluice" probe --json >"$dir/probe.json"
"$python" -B - "$dir/probe.json" <<'END'
import json, os, sys
with open(sys.argv[1]) as file:
    probe = json.load(file)
assert probe['kernel'] == os.uname().release and probe['cpus'] == len(os.sched_getaffinity(0)), probe
names = [check['name'] for check in probe['checks']]
assert len(set(names)) == len(names)
for name in 'tun tap tun-vnet-hdr tun-csum tun-tso4 tun-tso6 tun-uso tun-multi-queue tun-napi netns userns aead'.split():
    assert name in names, name
for check in probe['checks']:
    assert set(check) >= {'name', 'group', 'ok', 'reason', 'fix'} and type(check['ok']) is bool, check
    assert not (check['ok'] and check['fix']), check
    assert check['ok'] or check['reason'] and check['fix'], check
    if check['name'] in ('tun', 'tap', 'netns'):  # or this test would not run
        assert check['ok'], check
    if check['name'] == 'aead':
        flags = open('/proc/cpuinfo').read().partition('flags')[2].partition('\n')[0].split()
        fast = 'built without' not in check['reason'] and {'aes', 'pclmulqdq'} <= set(flags)
        assert check['ok'] == fast, check
        by = 'ipsec-mb' if fast else 'openssl'
        assert check['reason'].startswith(f'AES-256-GCM by {by}, CHACHA20-POLY1305 by {by}'), check
END
interfaces=$(ip -o link | wc -l)
"$sluice" probe >"$dir/probe"
[[ $(grep -cE ' (yes|no)( |$)' "$dir/probe") == $(grep -o '"name"' "$dir/probe.json" | wc -l) ]]
(($(ip -o link | wc -l) == interfaces))

# completion: what `sluice complete` offers for the last word, and what the shell makes of it.
offers() { # WORDS... : WANTED...
	local words=()
	while [[ $1 != : ]]; do
		words+=("$1")
		shift
	done
	shift
	[[ $("$sluice" complete -- "${words[@]}" | sort | xargs) == "$*" ]] ||
		fail "complete ${words[*]}: $("$sluice" complete -- "${words[@]}" | xargs), not $*"
}
offers '' : --version bind devices help io keygen link probe serve show unbind vduse
offers li : link
offers link t : tap: tun: tunnel:
offers link v : vduse: vhost-user: virtio-user:
offers link vhost-user:m : vhost-user:mac= vhost-user:mode= vhost-user:mtu=
offers link vhost-user:path= : @files
offers link virtio-user:path=x,via= : virtio-user:path=x,via=uduse virtio-user:path=x,via=vhost-user
offers link u : uduse:
offers link tunnel:role= : tunnel:role=client tunnel:role=server
offers keygen --out '' : @files
offers link tap:m : tap:mac= tap:mtu=
offers link tap:name=x,off : tap:name=x,offload=
offers link tap:name=x,offload= : tap:name=x,offload=off tap:name=x,offload=on
offers link gen:rate= : gen:rate=max
offers link --poll '' : adaptive off on
offers link --p : --pcap --poll
offers link --pcap '' : @files
offers link pcap:read= : @files
offers help '' : --version bind devices help io keygen link probe serve show unbind vduse
offers serve b : blk,
offers serve blk,nu : blk,null
offers serve blk,null,ro=o : blk,null,ro=off blk,null,ro=on
offers serve blk,file= : @files
offers serve blk,null --via v : vduse: vhost-user:
offers serve blk,null --via u : uduse:
offers serve blk,null --via vhost-user:mode= : vhost-user:mode=connect vhost-user:mode=listen
offers serve --poll a : adaptive
offers io '' : @files
offers io x --op rand : randread randwrite
offers io x --qd '' :
offers io x --re : --reconnect
offers vduse '' : destroy list
offers nonsense '' :
offers link bogus:x :

[[ $("$sluice" help serve) == "$("$sluice" serve --help)" && $("$sluice" help io) == "$("$sluice" io --help)" ]]
for word in --via --poll --stats --json blk, file=PATH mem=SIZE null vhost-user: path= mode=listen vduse: name= attach=on; do
	"$sluice" help serve | grep -q -- "  $word" || fail "help serve does not name $word"
done

completion=$here/../../completion/sluice.bash
complete_line() { # LINE: COMPREPLY as the shell would get it
	PATH=$(dirname "$sluice"):$PATH bash --norc -c '
		. "$1"
		COMP_LINE=$2 COMP_POINT=${#2} COMP_CWORD=1
		_sluice sluice 2>/dev/null
		echo "${COMPREPLY[@]}"' - "$completion" "$1"
}
touch "$dir/some.pcap"
cd "$dir"
[[ $(complete_line 'sluice li') == link ]]
[[ $(complete_line 'sluice link tap:name=a,off') == a,offload= ]]
[[ $(complete_line 'sluice link ta') == tap: ]]
[[ $(complete_line 'sluice link tap:name=a,offload=o') == 'on off' ]]
[[ $(complete_line 'sluice link pcap:read=so') == some.pcap ]]
[[ $(complete_line 'sluice link --pcap so') == some.pcap ]]
[[ $(complete_line 'sluice serve blk,nu') == blk,null ]]
[[ $(complete_line 'sluice serve blk,null --via vhost-user:pa') == 'path= packed=' ]]
bash --norc -c '. "$1"; complete -p sluice' - "$completion" | grep -q -- '-F _sluice'
