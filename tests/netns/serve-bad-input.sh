#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What cannot be served: each with its own sentence, exit status 2, and no socket left behind.
. "$(dirname "$0")/serve-lib.sh"
cd "$dir"
truncate -s 1M disk.img
truncate -s 1000 odd.img
mkfifo pipe
mkdir folder
serve blk,mem=1M # takes disk.sock

while IFS='|' read -r words regex; do
	[[ $words ]] || continue
	eval "words=($words)"
	refused 2 "${regex# }" "$sluice" "${words[@]}"
	[[ $(wc -l <"$dir/err.log") -le 2 && ! -s $dir/out ]] || fail "${words[*]}: says more than it should"
	[[ ! -e x.sock ]] || fail "${words[*]}: left a socket behind"
done <<'END'
serve                                                  | one model is needed, 0 given
serve blk,null                                         | --via says how the device is reached
serve blk,null blk,null --via vhost-user:path=x.sock   | one model is needed, 2 given
serve --vai x                                          | no option "--vai"; did you mean "--via"
serve --via                                            | --via needs a value
serve --poll sometimes blk,null --via vhost-user:path=x.sock | --poll sometimes is neither off, adaptive nor on
serve --stats x blk,null --via vhost-user:path=x.sock  | --stats x is not a number of seconds
serve net,null --via vhost-user:path=x.sock            | no model "net"; there is blk
serve '' --via vhost-user:path=x.sock                  | "" is no model
serve blk --via vhost-user:path=x.sock                 | blk: .*file=
serve blk,nul --via vhost-user:path=x.sock             | no parameter "nul"; did you mean "null"
serve blk,null=on --via vhost-user:path=x.sock         | null takes no value
serve blk,null,mem=1M --via vhost-user:path=x.sock     | blk: 
serve blk,mem=lots --via vhost-user:path=x.sock        | mem=lots is not a size such as
serve blk,mem=0 --via vhost-user:path=x.sock           | mem=0 is out of range
serve blk,file=nowhere.img --via vhost-user:path=x.sock | nowhere\.img: No such file
serve blk,file=folder --via vhost-user:path=x.sock     | folder
serve blk,file=pipe --via vhost-user:path=x.sock       | pipe
serve blk,null,queues=0 --via vhost-user:path=x.sock   | queues=0 is out of range
serve blk,null,queue-size=100 --via vhost-user:path=x.sock | queue-size=100.*power of (two|2)
serve blk,null --via x.sock                            | no way "x\.sock" to offer a device
serve blk,null --via vhost-user                        | vhost-user: one of path=SOCK and fd=N is needed
serve blk,null --via vhost-user:paht=x.sock            | no parameter "paht"; did you mean "path"
serve blk,null --via vhost-user:path=x.sock,mode=both  | mode=both is not one of listen\|connect
serve blk,null --via vhost-user:path=nowhere/x.sock    | nowhere/x\.sock: cannot listen: No such file
serve blk,null --via vhost-user:path=disk.img          | disk\.img
serve blk,null --via vhost-user:path=disk.sock         | another process listens at disk\.sock
serve blk,null --via uduse                             | uduse: path is missing: uduse:path=SOCK
serve blk,null --via uduse:path=x.sock,mode=listen     | no parameter "mode"
serve blk,null --via uduse:path=x.sock,packed=often    | packed=often is neither on nor off
END
[[ -f disk.img ]] || fail 'a file was removed to make a socket'
end
