#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a tunnel cannot be: each with its own sentence, exit status 2, and no interface left behind. Then what
# only shows when it runs: a peer that is not there, or is another than expected.
. "$(dirname "$0")/lib.sh"
. "$here/tunnel-lib.sh"
. "$here/tunnel-ends.sh"
command -v openssl >/dev/null || skip "no openssl"
namespaces a b c d
wire "$a" "$b"
wire "$c" "$d"
identities
cd "$dir"

mkdir empty not-pem wrong-pair open encrypted no-cert weak fifo
cp id-a/* not-pem
echo hello >not-pem/key.pem
cp id-a/* no-cert
echo hello >no-cert/cert.pem
cp id-a/key.pem id-b/cert.pem wrong-pair
cp id-a/* open
chmod 640 open/key.pem
cp id-a/cert.pem encrypted
openssl pkey -in id-a/key.pem -aes256 -passout pass:x -out encrypted/key.pem
chmod 600 encrypted/key.pem
openssl req -x509 -newkey rsa:1024 -nodes -keyout weak/key.pem -out weak/cert.pem -subj /CN=weak 2>openssl.log
mkfifo -m 600 fifo/key.pem
cp id-a/cert.pem fifo

# Not in_ns: that would be the pid of a shell.
ip netns exec "$a" "$python" -c '
import socket, sys, time
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("192.0.2.1", 7000))
print("bound", flush=True)
time.sleep(600)' >"$dir/taken" 2>&1 &
pids+=($!)
wait_for 'a socket' grep -q bound "$dir/taken"

l=local=192.0.2.1:1194 r=remote=192.0.2.2:1194 i=identity=id-a p=peer=$fp_b
interfaces=$(ip -n "$a" -o link | awk '{ print $2 }')

# Each line: what follows `sluice link tun:name=t0 tunnel:`, then what it must say. Run in namespace a.
while IFS='|' read -r words regex; do
	[[ $words ]] || continue
	words=$(eval "echo $words")
	refused 2 "${regex# }" ip netns exec "$a" "$sluice" link tun:name=t0 "tunnel:$words"
	[[ $(wc -l <err.log) -le 2 && ! -s out ]] || fail "$words: says more than it should: $(cat err.log)"
	[[ $(ip -n "$a" -o link | awk '{ print $2 }') == "$interfaces" ]] || fail "$words: left an interface behind"
done <<'END'
$r,$i,$p,role=client                           | local= is needed|local=ADDR:PORT|needs local
$l,$r,$p,role=client                           | identity
$l,$r,$i,role=client                           | peer
$l,$r,$i,$p                                    | role
$l,$r,$i,$p,role=both                          | role=both
$l,$r,$i,$p,role=client,cipher=des             | cipher=des
$l,$r,$i,$p,role=client,cipher=aes-128-gcm     | cipher=aes-128-gcm.*aes-256-gcm.*chacha20-poly1305
$l,$r,$i,$p,role=client,aead=gnutls             | aead=gnutls.*openssl.*ipsec-mb
$l,$i,$p,role=client                           | role=client needs remote=ADDR:PORT
local=192.0.2.1,$r,$i,$p,role=client           | local=192\.0\.2\.1 is no address: one is written
local=:1194,$r,$i,$p,role=client               | local=:1194 is no address
local=192.0.2.256:1194,$r,$i,$p,role=client    | local=192\.0\.2\.256:1194 is no address
local=192.0.2:1194,$r,$i,$p,role=client        | local=192\.0\.2:1194 is no address
local=2001:db8::1:1194,$r,$i,$p,role=client    | local=2001:db8::1:1194 is no address
local=[2001:db8::1],$r,$i,$p,role=client       | is no address
local=[192.0.2.1]:1194,$r,$i,$p,role=client    | is no address
local=192.0.2.1:65536,$r,$i,$p,role=client     | local=192\.0\.2\.1:65536 is no address
local=192.0.2.1:-1,$r,$i,$p,role=client        | is no address
local=192.0.2.1:http,$r,$i,$p,role=client      | is no address
local=localhost:1194,$r,$i,$p,role=client      | local=localhost:1194 is no address.*names are not looked up
$l,remote=peer.example:1194,$i,$p,role=client  | remote=peer\.example:1194 is no address
$l,remote=192.0.2.2,$i,$p,role=client          | remote=192\.0\.2\.2 is no address
$l,remote=192.0.2.2:0,$i,$p,role=client        | remote=192\.0\.2\.2:0 has no port
$l,remote=[2001:db8::2]:1194,$i,$p,role=client | different families: give both as IPv4 or both as IPv6
local=192.0.2.1:0,$i,$p,role=server            | local=192\.0\.2\.1:0 has no port: nobody could find this server
local=192.0.2.1:7000,$r,$i,$p,role=client      | local=192\.0\.2\.1:7000 is in use: another program has this port
local=192.0.2.77:1194,$r,$i,$p,role=client     | local=192\.0\.2\.77:1194 is no address of this machine
$l,$r,$i,$p,role=client,netns=nowhere          | no network namespace nowhere
$l,$r,$i,peer=AA:BB,role=client                | fingerprint
$l,$r,$i,peer=${fp_b%?},role=client            | fingerprint
$l,$r,$i,peer=${fp_b}:00,role=client           | fingerprint
$l,$r,$i,peer=${fp_b/:/z},role=client          | fingerprint
$l,$r,$i,peer=$fp_a,role=client                | peer= is this end's own fingerprint: it has to be the other end's
$l,$r,identity=nowhere,$p,role=client          | cannot read nowhere/key\.pem: No such file or directory; sluice keygen --out DIR
$l,$r,identity=empty,$p,role=client            | cannot read empty/key\.pem: No such file
$l,$r,identity=id-a/key.pem,$p,role=client     | cannot read id-a/key\.pem/key\.pem: Not a directory
$l,$r,identity=not-pem,$p,role=client          | not-pem/key\.pem holds no private key in PEM
$l,$r,identity=no-cert,$p,role=client          | no-cert/cert\.pem holds no certificate in PEM
$l,$r,identity=wrong-pair,$p,role=client       | wrong-pair/key\.pem and wrong-pair/cert\.pem do not belong together
$l,$r,identity=open,$p,role=client             | open/key\.pem is open to others \(mode 0640\): chmod 600 open/key\.pem
$l,$r,identity=encrypted,$p,role=client        | encrypted/key\.pem is encrypted and nobody is asked for a passphrase
$l,$r,identity=weak,$p,role=client             | weak/key\.pem holds a key of type RSA with 1024 bits
$l,$r,identity=fifo,$p,role=client             | fifo/key\.pem is no regular file
$l,$r,$i,$p,role=client,layer=2                | tun: carries IP \(layer 3\) and tunnel: carries Ethernet \(layer 2\): they cannot be joined
$l,$r,$i,$p,role=client,layer=4                | layer=4 is out of range: 2 to 3
$l,$r,$i,$p,role=client,mss=65496              | mss=65496 is out of range: 0 to 65495
$l,$r,$i,$p,role=client,ping=3601              | ping=3601 is out of range: 0 to 3600
$l,$r,$i,$p,role=client,float=maybe            | float=maybe is neither on nor off
$l,$r,$i,$p,role=client,$l                     | local is given twice
$l,$r,$i,$p,role=client,key=x                  | no parameter "key"
END
refused 2 'tap: carries Ethernet \(layer 2\) and tunnel: carries IP \(layer 3\)' \
	ip netns exec "$a" "$sluice" link tap:name=t0 "tunnel:$l,$r,$i,$p,role=client"
refused 2 'both ports are tunnel:' \
	ip netns exec "$a" "$sluice" link "tunnel:$l,$r,$i,$p,role=client" "tunnel:$l,$r,$i,$p,role=client"

# Not readable: for who is no superuser.
if command -v setpriv >/dev/null; then
	chmod 711 "$dir"
	refused 2 'cannot read id-a/key\.pem: Permission denied' ip netns exec "$a" setpriv --reuid 65534 \
		--clear-groups --inh-caps=-all --bounding-set=-all "$sluice" link gen: "tunnel:$l,$r,$i,$p,role=client"
fi

not_connected() { # END...
	local end
	for end; do
		! grep -q 'connected to' "${log_of[$end]}" || fail "$end has connected"
	done
}

# Nobody there: that is said, and the tunnel waits. Either is the early one, of a pair of its own: it says so after ten seconds.
ln -s id-a id-c
ln -s id-b id-d
fp_c=$fp_a fp_d=$fp_b remote=
end a server
end d client
for each in 'a b client' 'd c server'; do
	read -r early late role <<<"$each"
	of "$early"
	within 60 'a line about the peer' test -s "${log_of[$early]}"
	grep -Eq 'no peer has come yet; still waiting|no session with 192\.0\.2\.1:1194 yet; still trying' \
		"${log_of[$early]}" || fail "$early says: $(cat "${log_of[$early]}")"
	[[ $(wc -l <"${log_of[$early]}") == 1 ]] || fail "$early says more: $(cat "${log_of[$early]}")"
	not_connected "$early"
	end "$late" "$role"
	within 60 'the connection' answers "${!early}" "10.9.0.$(number "$late")"
	says "$early" 'connected to'
	for end in "$early" "$late"; do
		of "$end"
		stop
	done
done

remote=y

# Wrong fingerprints, on either side: it is said whom one has met, and nothing passes.
fp_x=$("$sluice" keygen --out "$dir/id-x" 2>"$dir/keygen.log")
for wrong in a b; do
	more_a='' more_b=''
	printf -v "more_$wrong" %s "peer=$fp_x"
	end a server "$more_a"
	end b client "$more_b"
	shown=fp_$(other "$wrong")
	says "$wrong" "${!shown}"
	! answers "$b" 10.9.0.1 || fail "an answer of somebody else"
	of b
	wait_for 'the drop' reports 'there.drops("no-session") > 0'
	for end in a b; do
		of $end
		holds 'not there.packets and not back.packets'
	done
	stop_ends
	not_connected a b
done

# Twice the same role.
for twice in client server; do
	end a $twice
	end b $twice
	for end in a b; do
		says $end "both ends are ${twice}s: one needs role="
	done
	stop_ends
	not_connected a b
done

# No cipher in common.
end a server cipher=aes-256-gcm
end b client cipher=chacha20-poly1305
says a 'the peer has none of our ciphers'
stop_ends
not_connected a b
