#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Beside QEMU, on this machine: the links that the NICs of its guest are ports of, and what is at their other ends.

usage: net_serve.py FOLDER SLUICE
In network namespaces that no other process sees: in `far` an echo server, and the TAPs of the first two links, `split` and
`packed`; `here` is joined to it by a cable. FOLDER/said is what the guest says, and it is answered over FOLDER/answers with
"ok ..." or "failed ...":

    %% host link NAME [PORT PORT]    sluice link; $dir, $id_a and $fp_a (and _b: identities) are known in a PORT
    %% host stop NAME                SIGTERM: it must end well, and its reports must be as documented
    %% host holds NAME EXPRESSION    of its last report: see report.py
    %% host ping NS ADDRESS SIZE     five times
    %% host udp NS ADDRESS COUNT SIZE    datagrams, handed to the kernel in trains, come back
    %% host checksums NS             the kernel there has seen no wrong one
    %% host outages kill|end NAME ADDRESS TIMES LIMIT    see outages.py; from `far`; end: by SIGTERM
    %% host boot                     another guest, with the same initrd: one split queue at FOLDER/peer.sock
    %% host reset TIMES ADDRESS      that one is killed with -9 and boots again, and talks with `far`
    %% host quiet                    its kernel has not complained
"""
import argparse
import os
import shlex
import socket
import string
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../netns'))

import echo  # noqa: E402
import outages  # noqa: E402
import report  # noqa: E402

LINKS = {
    'split': ['vhost-user:path=$dir/split.sock,mode=connect', 'tap:name=t0,netns=far'],
    'packed': ['vhost-user:path=$dir/packed.sock,mode=connect,queues=2,mtu=4000',
               'tap:name=t1,netns=far,mtu=4000,queues=2'],
}
PEER = ('-machine q35 -smp 1 -m 384 -nodefaults -display none -no-reboot -object memory-backend-memfd,id=m,size=384M,share=on '
        '-numa node,memdev=m -kernel $dir/vmlinux -initrd $dir/initrd -serial file:$dir/peer.console -serial file:$dir/peer.said '
        '-chardev socket,id=c0,path=$dir/peer.sock,reconnect=1 -netdev vhost-user,id=n0,chardev=c0 '
        '-device virtio-net-pci,netdev=n0,mac=52:54:00:00:02:01,vectors=0,romfile=')
APPEND = 'console=ttyS0 quiet panic=-1 oops=panic no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 slt.peer'
COMPLAINTS = 'BUG:', 'WARNING:', 'Oops', 'is not a head', 'virtqueue'


def alone():
    """Again in namespaces of our own, which go when we do; run.sh ends us with KILL."""
    if sys.argv[-1] != 'alone':
        user = ['--user', '--map-root-user'] if os.getuid() else []
        os.execvp('unshare', ['unshare', *user, '--net', '--mount', sys.executable, '-B', *sys.argv, 'alone'])
    for command in ('mount -t tmpfs tmpfs /run', 'ip netns add here', 'ip netns add far',
                    'ip -n here link set lo up', 'ip -n far link set lo up',
                    'ip link add w0 netns here type veth peer name w0 netns far',
                    'ip -n here addr add 192.0.2.1/24 dev w0', 'ip -n far addr add 192.0.2.2/24 dev w0',
                    'ip -n here link set w0 up', 'ip -n far link set w0 up',
                    'ip netns exec far sysctl -qw net.ipv6.conf.default.accept_dad=0'):
        subprocess.run(command.split(), check=True)


def make_taps():
    """They outlive who is killed, and who is at their other ends need not be asked for."""
    for n, mode in enumerate(['tap', 'tap multi_queue', 'tap']):
        for command in (f'tuntap add dev t{n} mode {mode}', f'link set t{n} address 02:00:00:00:0{n}:01',
                        f'addr add 10.9.{n}.2/24 dev t{n}', f'addr add fd09:{n}::2/64 dev t{n}',
                        f'neigh add 10.9.{n}.1 lladdr 52:54:00:00:0{n}:01 dev t{n} nud permanent'):
            subprocess.run(['ip', '-n', 'far', *command.split()], check=True)


def run(*command):
    """What it says; its complaint is ours."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f'{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}'
    return done.stdout.strip()


class Host:
    def __init__(self, folder, sluice, links=LINKS):
        self.folder, self.sluice, self.ports, self.links, self.peer, self.answers = folder, sluice, links, {}, None, None
        self.known = {'dir': folder}
        for end in 'ab':
            self.known[f'id_{end}'] = f'{folder}/id-{end}'
            self.known[f'fp_{end}'] = run(sluice, 'keygen', '--out', f'{folder}/id-{end}')
        echo.serve('far')
        if links is LINKS:
            make_taps()
        for name in links:
            self.link(name)

    def words(self, text):
        return string.Template(text).substitute(self.known)

    def link(self, name, *ports):
        ports = map(self.words, ports or self.ports[name])
        command = [self.sluice, 'link', '-v', '--json', '--stats', '0.2', *ports]
        self.links[name] = outages.Program(f'{self.folder}/{name}', command)
        end = time.monotonic() + 10
        while not os.path.getsize(f'{self.folder}/{name}.json'):
            assert self.links[name].process.poll() is None, self.links[name].said()
            assert time.monotonic() < end, 'no report'
            time.sleep(0.02)

    def stop(self, name):
        self.links[name].end()
        report.check(f'{self.folder}/{name}.json')

    def holds(self, name, *expression):
        path = f'{self.folder}/{name}.json'
        assert report.evaluate(path, ' '.join(expression)), f'not so: {report.last(path)}'

    def ping(self, ns, address, size):
        return run(*f'ip netns exec {ns} ping -q -c 5 -i 0.05 -W 5 -s {size} {address}'.split()).split('\n')[-1]

    def udp(self, ns, address, count, size):
        args = argparse.Namespace(ns=ns, address=address, count=int(count), gso=int(size), size=0, window=200)
        assert not echo.udp(args), 'datagrams are lost or wrong'

    def checksums(self, ns):
        wrong = [line for line in run('ip', 'netns', 'exec', ns, 'nstat', '-asz').split('\n')
                 if 'CsumErrors' in line and line.split()[1] != '0']
        assert not wrong, wrong

    def outages(self, how, name, address, times, limit):
        return outages.outages('far', address, int(times), float(limit), self.links[name], how)

    def boot(self):
        accel = run(f'{HERE}/accel.sh', f'{self.folder}/vmlinux').split()
        command = ['qemu-system-x86_64', *accel, *self.words(PEER).split(), '-append', APPEND]
        self.peer = outages.Program(f'{self.folder}/peer-qemu', command)

    def reset(self, times, address):
        ours, pinger = self.links['peer'].process, outages.Pinger('far', address)
        for n in range(int(times) + 1):
            assert pinger.answered(time.monotonic(), 60), 'it does not come up'
            if n == int(times):
                break
            streams = [echo.Stream('far', address, enough=lambda: False) for _ in range(2)]
            time.sleep(0.3)
            assert all(stream.sent for stream in streams)
            self.quiet()
            self.peer.kill()
            self.peer.start()
        assert ours.poll() is None, 'sluice has ended'

    def quiet(self):
        with open(f'{self.folder}/peer.console', errors='replace') as console:
            found = [line for line in console if any(word in line for word in COMPLAINTS)]
        assert not found, found[:3]


def requests(path):
    """What the guest asks for, for ever: run.sh ends us."""
    rest = b''
    while not os.path.exists(path):
        time.sleep(0.05)
    with open(path, 'rb') as said:
        while True:
            rest += said.read()
            *lines, rest = rest.split(b'\n')
            for line in lines:
                if line.startswith(b'%% host '):
                    yield shlex.split(line.decode())[2:]
            time.sleep(0.01)


def main(make=Host):
    alone()
    folder, sluice, *_ = sys.argv[1:]
    host = make(folder, sluice)
    print('ready', flush=True)
    for what, *arguments in requests(os.path.join(folder, 'said')):
        if not host.answers:
            host.answers = socket.socket(socket.AF_UNIX)
            host.answers.connect(os.path.join(folder, 'answers'))
        try:
            answer = f'ok {getattr(host, what)(*arguments) or ""}'
        except Exception as error:
            answer = f'failed {type(error).__name__} {error}'.replace('\n', ' | ')
        print(f'{time.monotonic():.3f}', what, *arguments, '->', answer, flush=True)
        host.answers.sendall(answer.encode() + b'\n')


if __name__ == '__main__':
    main()
