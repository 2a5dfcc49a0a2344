# SPDX-License-Identifier: BSD-2-Clause
# Two sluices as the ends of a tunnel; source it after tunnel-lib.sh. End a is 192.0.2.1 and 10.9.0.1 in the
# namespace a, end b 192.0.2.2 and 10.9.0.2 in b; IPv6 likewise.
#
#	end a server; end b client                    # start both; or: ends
#	connected "$a" 10.9.0.2
#	of a; holds 'there.packets > 3'               # what lib.sh says about "the last report" is about a now
#	of a; stop; of b; stop                        # or: stop_ends
#
# `there` is what an end seals, `back` what it opens.
# shellcheck shell=bash disable=SC2034,SC2154 # what lib.sh and the tests set and use

# Of all ends that start from now on.
outer=4      # IPv4 or IPv6 outside
kind=tun     # or tap
mtu=         # mtu= of the interface
remote=y     # does the server know where the client is?
extra=()     # options of sluice link
roomy=(--sndbuf 4194304 --rcvbuf 4194304 --txqueuelen 2000) # for a stock OpenVPN that is not to lose bursts
declare -A link_of report_of log_of

number() {
	case $1 in
	[ac]) echo 1 ;;
	*) echo 2 ;;
	esac
}

# outside END [PORT]: its address
outside() {
	local n
	n=$(number "$1")
	if ((outer == 4)); then
		echo "192.0.2.$n:${2:-1194}"
	else
		echo "[2001:db8::$n]:${2:-1194}"
	fi
}

other() { # c and d are two more, for who has them
	tr abcd badc <<<"$1"
}

# tunnel_of END ROLE [MORE]: its tunnel: port. MORE may hold local=, remote= and peer= of its own.
tunnel_of() {
	local fp spec=tunnel:role=$2
	fp=fp_$(other "$1")
	spec+=,identity=$dir/id-$1,netns=${!1}
	[[ ${3-} == *local=* ]] || spec+=,local=$(outside "$1")
	[[ ${3-} == *remote=* || ($2 == server && -z $remote) ]] || spec+=,remote=$(outside "$(other "$1")")
	[[ ${3-} == *peer=* ]] || spec+=,peer=${!fp}
	[[ $kind == tun || ${3-} == *layer=* ]] || spec+=,layer=2
	echo "$spec${3:+,$3}"
}

# inside END: its tun: or tap: port
inside() {
	local n
	n=$(number "$1")
	echo "$kind:name=t0,netns=${!1},addr=10.9.0.$n/24,addr=fd09::$n/64${mtu:+,mtu=$mtu}"
}

end() { # END ROLE [MORE]
	start "${extra[@]}" "$(inside "$1")" "$(tunnel_of "$@")"
	link_of[$1]=$link report_of[$1]=$report log_of[$1]=$log
}

ends() { # [MORE [MORE-OF-CLIENT]]
	end a server "${1-}"
	end b client "${2-${1-}}"
	connected "$b" 10.9.0.1
}

# with_stock ROLE MORE COMMAND...: end a in that role, and what COMMAND starts; the server first, so the client need not ask twice
with_stock() {
	[[ $1 == client ]] || end a server "$2"
	"${@:3}"
	[[ $1 == server ]] || {
		stock_says 'link local'
		end a client "$2"
	}
}

of() {
	link=${link_of[$1]} report=${report_of[$1]} log=${log_of[$1]}
}

# fresh: wait for a report that was made after this call
fresh() {
	local lines
	lines=$(wc -l <"$report")
	wait_for 'a newer report' more_lines "$((lines + 1))"
}

more_lines() {
	(($(wc -l <"$report") > $1))
}

stop_ends() {
	of a
	stop
	of b
	stop
}

# kill_end END: as if its machine had lost power
kill_end() {
	of "$1"
	disown "$link" # or the shell would say so
	kill -KILL "$link"
	wait_for 'its end' gone "$link"
}

# says END REGEX: wait until it has
says() {
	wait_for "end $1 to say /$2/" grep -Eq -- "$2" "${log_of[$1]}"
}

# says_times END REGEX N
says_times() {
	(($(grep -Ec -- "$2" "${log_of[$1]}") >= $3))
}

# answers NS ADDRESS: does it?
answers() {
	in_ns "$1" ping -q -c 1 -W 0.3 "$2" >"$dir/ping.out" 2>&1
}
