#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How long nothing gets through when a program is killed with -9 and started again at once; and does TCP survive it?

usage: outages.py [--pings] NS ADDRESS TIMES LIMIT PATH COMMAND...
COMMAND is started, with its outputs in PATH.json and PATH.log, and killed TIMES times while the network namespace NS (- for
this one) asks ADDRESS for an echo every 5 ms, and sends it a stream that its echo server (echo.py) sends back. An outage begins
with the kill and ends with the first answer to what was asked after it; the next kill comes when the stream has gone on. Prints
all outages, and fails when one took more than LIMIT seconds, or the stream is not as it was sent. At the end COMMAND gets
SIGTERM and must end with 0.
"""
import contextlib
import ctypes
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import echo
import netns
import traffic

EVERY = 0.005
ECHO = struct.Struct('!BBHHHd')  # ICMP (RFC 792): type, code, checksum, identifier, sequence number; then when, in s


def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


class Pinger:
    """Asks for echoes all the time. Each carries the time it was asked for, so nothing need be remembered."""

    def __init__(self, ns, address):
        args = socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
        self.sock = socket.socket(*args) if ns == '-' else netns.make_socket(ns, *args)
        self.address, self.id = address, os.getpid() & 0xffff
        self.asked = self.came = 0.0  # the latest that was answered, and when its answer came
        self.news = threading.Condition()
        for work in self.ask, self.hear:
            threading.Thread(target=work, daemon=True).start()

    def ask(self):
        number = 0
        while True:
            fields = [8, 0, 0, self.id, number & 0xffff, time.monotonic()]
            fields[2] = checksum(ECHO.pack(*fields))
            with contextlib.suppress(OSError):  # no such network just now
                self.sock.sendto(ECHO.pack(*fields), (self.address, 0))
            number += 1
            time.sleep(EVERY)

    def hear(self):
        while True:
            packet = self.sock.recv(2048)
            at = (packet[0] & 0xf) * 4
            if len(packet) < at + ECHO.size:
                continue
            kind, _, _, own, _, asked = ECHO.unpack_from(packet, at)
            if kind == 0 and own == self.id:
                with self.news:
                    self.asked, self.came = asked, time.monotonic()
                    self.news.notify()

    def answered(self, since, limit):
        """When the first answer came to what was asked after `since`; None: not within `limit` seconds."""
        end = time.monotonic() + limit
        with self.news:
            while self.asked < since:
                if not self.news.wait(end - time.monotonic()):
                    return None
            return self.came


def wait_until(what, condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f'waited in vain for {what}'
        time.sleep(0.002)


def outages(ns, address, times, limit, program, how='kill', streams=True):
    """What there is to say of them; how: or 'end'. What is not over in ten times the limit is an error."""
    pinger = Pinger(ns, address)
    assert pinger.answered(time.monotonic(), 20), 'no answer at all'
    enough, took = threading.Event(), []
    stream = echo.Stream(ns, address, enough=enough.is_set) if streams else None
    for n in range(times):
        seen = stream.received if stream else 0
        if stream:
            wait_until(f'the stream, after kill {n}', lambda: stream.received > seen, traffic.TIMEOUT)
        time.sleep(random.uniform(0.02, 0.15))
        getattr(program, how)()
        at = time.monotonic()
        program.start()
        came = pinger.answered(at, 10 * limit)
        assert came, f'kill {n + 1}: nothing comes through any more'
        took.append(came - at)
    enough.set()
    said = ' '.join(f'{1000 * each:.0f}' for each in took) + f'; worst {1000 * max(took):.0f}; {stream.check() if stream else "pings alone"}'
    assert max(took) < limit, f'an outage of {max(took):.2f} s: {said}'
    return 'outages in ms: ' + said


def die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Program:
    """What is killed and started again; its outputs go to files, PATH.json and PATH.log."""

    def __init__(self, path, command):
        self.path, self.command = path, command
        self.start()

    def start(self):
        with open(f'{self.path}.json', 'w') as output, open(f'{self.path}.log', 'a') as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                                            preexec_fn=die_with_us)

    def said(self):
        with open(f'{self.path}.log') as log:
            return log.read()[-300:]

    def kill(self):
        assert self.process.poll() is None, f'it had ended by itself, with {self.process.returncode}: {self.said()}'
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        status = self.process.wait(20)
        assert status == 0, f'told to end, it ended with {status}: {self.said()}'


def main():
    streams = sys.argv[1] != '--pings'
    ns, address, times, limit, path, *command = sys.argv[1 if streams else 2:]
    program = Program(path, command)
    print(outages(ns, address, int(times), float(limit), program, streams=streams), flush=True)
    program.end()
    os._exit(0)  # threads that wait for packets may not be there when the interpreter comes to its end


if __name__ == '__main__':
    main()
