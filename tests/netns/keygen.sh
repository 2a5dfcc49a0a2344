#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# keygen: what it makes is what openssl and openvpn take; nobody else may read it; nothing is overwritten.
. "$(dirname "$0")/lib.sh"
cd "$dir"

fingerprint=$("$sluice" keygen --out me 2>made.log)
[[ $fingerprint =~ ^([0-9A-F]{2}:){31}[0-9A-F]{2}$ ]] || fail "no fingerprint: $fingerprint"
[[ $(stat -c '%a %F' me me/key.pem me/cert.pem | xargs) == '700 directory 600 regular file 600 regular file' ]]
[[ $(wc -l <made.log) == 1 ]]
for word in me/key.pem me/cert.pem identity=me "peer=$fingerprint"; do
	grep -qF -- "$word" made.log || fail "$word is not named: $(cat made.log)"
done
[[ $("$sluice" keygen --show me 2>&1) == "$fingerprint" ]]
[[ $("$sluice" keygen --show me/ 2>&1) == "$fingerprint" ]]

"$sluice" keygen --json --out second >out.json 2>out.log
"$sluice" keygen --json --show second >show.json 2>show.log
[[ ! -s out.log && ! -s show.log ]]
cmp out.json show.json
"$python" -B - out.json "$("$sluice" keygen --show second)" <<'END'
import json, sys
with open(sys.argv[1]) as file:
    assert json.load(file) == {'fingerprint': sys.argv[2], 'key': 'second/key.pem', 'certificate': 'second/cert.pem'}
END
[[ $("$sluice" keygen --show second) != "$fingerprint" ]]

# A umask neither opens nor closes them; with one that leaves nothing it takes who is not root.
(umask 0 && "$sluice" keygen --out open >/dev/null 2>&1)
cp "$sluice" ./sluice # where nobody may run it
chmod 755 . sluice
mkdir theirs && chown 65534 theirs
setpriv --reuid=65534 --regid=65534 --clear-groups \
	bash -eu -c 'umask 0777; ./sluice keygen --out theirs/closed >/dev/null 2>&1; ./sluice keygen --show theirs/closed >/dev/null'
for made in open theirs/closed; do
	[[ $(stat -c %a $made $made/key.pem $made/cert.pem | xargs) == '700 600 600' ]] || fail "$made: wrong modes"
done

# Each line: what is put behind `sluice keygen`, the exit status, then what it must say.
mkdir loose mixed half
cp me/*.pem loose && chmod 640 loose/key.pem
cp me/*.pem mixed && cp second/cert.pem mixed
cp me/cert.pem half
echo nonsense >file
before=$(cat me/*.pem | sha256sum)
while IFS='|' read -r words status regex; do
	[[ $words ]] || continue
	eval "words=($words)"
	refused "${status// /}" "${regex# }" "$sluice" keygen "${words[@]}"
	[[ $(wc -l <err.log) -le 2 && ! -s out ]] || fail "${words[*]}: says more than it should"
done <<'END'
--json                    | 2 | one of --out DIR and --show DIR is needed
--out a --show me         | 2 | one of --out DIR and --show DIR is needed
me                        | 2 | "me" is too much: a folder is given with --out or --show
--out a b                 | 2 | "b" is too much
--out                     | 2 | --out needs a value
--otu a                   | 2 | no option "--otu"; did you mean "--out"\?
-x                        | 2 | no option "-x"
--json=yes --out a        | 2 | --json
--out me                  | 1 | me/key\.pem is there already and is not overwritten: give another folder \(--out\), or remove it
--out half                | 1 | half/cert\.pem is there already
--out nowhere/a           | 1 | cannot make folder nowhere/a: No such file
--out file                | 1 | cannot open folder file: Not a directory
--out ''                  | 1 | cannot make folder
--show nowhere            | 1 | cannot read nowhere/key\.pem: No such file or directory; sluice keygen --out
--show half               | 1 | cannot read half/key\.pem
--show loose              | 1 | loose/key\.pem is open to others \(mode 0640\): chmod 600 loose/key\.pem
--show mixed              | 1 | mixed/key\.pem and mixed/cert\.pem do not belong together
END
[[ $(cat me/*.pem | sha256sum) == "$before" ]]
[[ ! -e a && ! -e nowhere && $(ls half) == cert.pem ]] || fail 'something was left behind'
chmod 600 loose/key.pem
[[ $("$sluice" keygen --show loose) == "$fingerprint" ]]

# Room for the key alone: neither is left.
mkdir full
# shellcheck disable=SC2016
refused 1 'cannot write full/cert\.pem: No space left' unshare -m bash -eu -c '
	mount -t tmpfs -o nr_inodes=2,mode=0700 none full
	"$1" keygen --out full || { status=$? && ls -A full && exit "$status"; }' - "$sluice"
[[ ! -s out ]] || fail "left behind: $(cat out)"
# shellcheck disable=SC2016
refused 1 'cannot write the output: No space left' bash -c '"$1" keygen --show me >/dev/full' - "$sluice"

for word in --out --show --json --help Examples: --peer-fingerprint; do
	"$sluice" keygen --help | grep -q -- "$word" || fail "keygen --help does not name $word"
done
[[ $("$sluice" help keygen) == "$("$sluice" keygen --help)" ]]
"$sluice" help | grep -q 'sluice keygen'
[[ $("$sluice" complete -- keygen --o) == --out ]]

# As openssl sees it.
command -v openssl >/dev/null || skip 'no openssl to compare with'
[[ $(openssl x509 -in me/cert.pem -noout -fingerprint -sha256) == *="$fingerprint" ]]
openssl x509 -in me/cert.pem -noout -text >cert.txt
for line in 'Version: 3' 'Issuer: CN = sluice' 'Subject: CN = sluice' 'NIST CURVE: P-384' 'CA:FALSE' \
	'Signature Algorithm: ecdsa-with-SHA256' 'Not After : Dec 31 23:59:59 9999'; do
	grep -qF -- "$line" cert.txt || fail "no $line: $(cat cert.txt)"
done
[[ $(head -n 1 me/key.pem) == '-----BEGIN PRIVATE KEY-----' ]] # PKCS#8
cmp <(openssl pkey -in me/key.pem -pubout) <(openssl x509 -in me/cert.pem -noout -pubkey)

# And what openssl makes.
for kind in 'ec -pkeyopt ec_paramgen_curve:prime256v1' ed25519 rsa:2048; do
	theirs=made-${kind%% *}
	mkdir "$theirs"
	# shellcheck disable=SC2086
	openssl req -x509 -newkey $kind -nodes -days 1 -subj /CN=a -keyout "$theirs/key.pem" \
		-out "$theirs/cert.pem" 2>openssl.log
	[[ $(openssl x509 -in "$theirs/cert.pem" -noout -fingerprint -sha256) == *="$("$sluice" keygen --show "$theirs")" ]]
done
