#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# NICs that cannot be, or cannot be driven: each with its own sentence, exit status 2, and no socket left behind. Two that do not fit
# together say so and go on waiting for somebody who does.
# shellcheck disable=SC2034 # for lib.sh
unprivileged=1
. "$(dirname "$0")/net-lib.sh"
cd "$dir"
touch file
run nic vhost-user:path=taken.sock gen:rate=10
long=$(printf 'x%.0s' {1..120})

while IFS='|' read -r words regex; do
	[[ $words ]] || continue
	eval "words=($words)"
	refused 2 "${regex# }" "$sluice" link "${words[@]}"
	[[ $(wc -l <"$dir/err.log") -le 2 && ! -s $dir/out ]] || fail "${words[*]}: says more than it should"
	[[ ! -e x.sock ]] || fail "${words[*]}: left a socket behind"
done <<'END'
vhost-user: null:                              | vhost-user: one of path=SOCK and fd=N is needed
vhost-user:path=x.sock,fd=3 null:              | vhost-user: one of path=SOCK and fd=N is needed
vhost-user:paht=x.sock null:                   | no parameter "paht"; did you mean "path"
vhost-user:path=x.sock,queues=0 null:          | queues=0 is out of range: 1 to 16
vhost-user:path=x.sock,mtu=67 null:            | mtu=67 is out of range: 68 to 65535
vhost-user:path=x.sock,mac=01:00:00:00:00:01 null: | mac=01:00:00:00:00:01 is not a unicast address
vhost-user:path=x.sock,mode=both null:         | mode=both is not one of listen\|connect
vhost-user:path=x.sock,packed=maybe null:      | packed=maybe is neither on nor off
vhost-user:path=nowhere/x.sock null:           | nowhere/x\.sock: cannot listen: No such file
vhost-user:path=file null:                     | file is there already, and is no socket
vhost-user:path=taken.sock null:               | another process listens at taken\.sock
vhost-user:path=$long null:                    | path=x+ is too long: 120 characters, at most 107
vhost-user:path=x.sock vhost-user:path=x.sock  | both ports are vhost-user:path=x\.sock
vhost-user:fd=99 null:                         | descriptor 99 is not open
vhost-user:fd=0 null:                          | descriptor 0 is no UNIX stream socket
vhost-user:path=x.sock,mtu=9000 vhost-user:path=y.sock,mtu=1500 | has an MTU of 9000 and vhost-user: one of 1500
vhost-user:path=x.sock 'tunnel:local=127.0.0.1:1194,role=server' | tunnel: 
vhost-usr:path=x.sock null:                    | no kind of port "vhost-usr"; did you mean "vhost-user:"
virtio-user: null:                             | virtio-user: path is missing: virtio-user:path=SOCK
virtio-user:path=x.sock,mtu=1500 null:         | no parameter "mtu"
virtio-user:path=x.sock,queues=9 null:         | queues=9 is out of range: 1 to 8
virtio-user:path=x.sock,via=vduse null:        | via=vduse is not one of vhost-user\|uduse
virtio-user:path=x.sock,via=uduse,mode=listen null: | mode= does not go with via=uduse
virtio-user:path=taken.sock,mode=listen null:  | another process listens at taken\.sock
virtio-user:path=taken.sock,via=uduse null:    | another process listens at taken\.sock
uduse: null:                                   | uduse: path is missing: uduse:path=SOCK
uduse:path=x.sock,queues=2 null:               | no parameter "queues"
uduse:path=x.sock,mode=listen null:            | no parameter "mode"
uduse:path=$long null:                         | too long
vduse: null:                                   | vduse: name is missing: vduse:name=NAME
vduse:name=a/b null:                           | "a/b" cannot be the name of a device
vduse:name=n0,queues=2 null:                   | no parameter "queues"
END
[[ -e taken.sock && ! -e y.sock ]] || fail 'a socket is gone, or left'

# says REGEX COMMAND...: on standard error, while it goes on
says() {
	begin timeout 20 "${@:2}"
	wait_for "/$1/" grep -Eq -- "$1" "$log"
	kill "$link"
	wait "$link" || true
}

says 'the back end has 1 pairs? of queues: 4 are wanted' "$sluice" link virtio-user:path=taken.sock,queues=4 null:
run driver virtio-user:path=taken.sock gen:rate=10
joined driver
says 'gone|does not take|has not answered' "$sluice" link virtio-user:path=taken.sock null:
grep -q 'another front end is turned away: there can be one at a time' "${log_of[nic]}" || fail 'the NIC says nothing of the second'
end driver nic

# A disk is no NIC, and a NIC no disk.
begin "$sluice" serve --stats 0 blk,null --via vhost-user:path=disk.sock
wait_for 'the disk' test -S disk.sock
says 'the back end refuses' "$sluice" link virtio-user:path=disk.sock null:
run nic vhost-user:path=nic.sock gen:rate=10
refused 1 "sluice io: the device says that it has no queues" "$sluice" io nic.sock --time 1
run driver virtio-user:path=nic.sock gen:rate=10 # which still does
joined driver
end driver nic
run driver virtio-user:path=uduse.sock,via=uduse gen:rate=10
begin "$sluice" serve --stats 0 blk,null --via uduse:path=uduse.sock
disk=$log
wait_for 'the sentence' grep -q "the daemon's device is of kind 2, not 1" "${log_of[driver]}"
wait_for 'its sentence' grep -q "the driver's side takes none of kind 2" "$disk"
run nic uduse:path=uduse.sock gen:rate=10 # another daemon is none the worse for it
joined driver nic
end driver nic
run nic uduse:path=io.sock gen:rate=10
refused 1 "the daemon's device is of kind 1, not 2" "$sluice" io uduse:io.sock --time 1
wait_for 'its sentence' grep -q "the driver's side takes none of kind 1" "$log"
end nic

# Who finds nobody says so, once; it may be a slip.
for port in virtio-user:path=typo vhost-user:path=typo,mode=connect uduse:path=typo; do
	run "$port" "$port" gen:rate=10
done
sleep 0.5 # time for more attempts
for port in "${!log_of[@]}"; do
	[[ $port != *typo* ]] || [[ $(grep -c "${port%%:*}: typo: cannot connect: No such file or directory; trying again$" "${log_of[$port]}") == 1 ]] ||
		fail "$port says: $(cat "${log_of[$port]}")"
done
end virtio-user:path=typo vhost-user:path=typo,mode=connect uduse:path=typo
