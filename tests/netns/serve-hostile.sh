#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Front ends that send nonsense lose their connection; the disk serves the next one. Each message and its order: the
# unit tests and fuzz_vhost_user.
. "$(dirname "$0")/serve-lib.sh"
serve blk,mem=16M

"$python" -B - "$sock" <<'END'
import array, os, random, socket, struct, sys

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_KICK = 1, 2, 3, 5, 8, 9, 12


def message(request, payload=b'', flags=1, size=None):
    return struct.pack('<III', request, flags, len(payload) if size is None else size) + payload


def u64(n):
    return struct.pack('<Q', n)


def region(gpa, size, uva, offset):
    return struct.pack('<II', 1, 0) + struct.pack('<QQQQ', gpa, size, uva, offset)


def ask(data, fds=()):
    """Send it; what comes back until the other end closes, or has nothing to say for a while."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        s.settimeout(0.3)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        got = b''
        try:
            s.sendmsg([data], ancillary)
            s.shutdown(socket.SHUT_WR)
            while part := s.recv(65536):
                got += part
        except (socket.timeout, OSError):
            pass
        return got


memory = os.memfd_create('small')
os.ftruncate(memory, 4096)
random.seed(1)
ask(b'')
ask(b'\x01')
ask(b'\0' * 12)
ask(b'\xff' * 4096)
ask(message(GET_FEATURES, flags=0))  # no version
ask(message(GET_FEATURES, b'x' * 8))
ask(message(GET_FEATURES, size=0xffffffff))
ask(message(SET_FEATURES, u64(2**64 - 1)))
ask(message(9999, b'x' * 100, flags=9))
ask(message(SET_VRING_NUM, struct.pack('<II', 4000000000, 1)))
ask(message(SET_VRING_NUM, struct.pack('<II', 0, 3)))
ask(message(SET_VRING_ADDR, struct.pack('<IIQQQQ', 0, 0, 2**63, 2**64 - 1, 1, 0)))
ask(message(SET_VRING_KICK, u64(255)), [memory])
ask(message(SET_MEM_TABLE, region(0, 1 << 30, 0, 0)), [memory])  # more than there is
ask(message(SET_MEM_TABLE, region(2**64 - 4096, 8192, 2**64 - 4096, 2**64 - 4096)), [memory])
ask(message(SET_MEM_TABLE, region(0, 4096, 0, 0)))  # no descriptor
ask(message(SET_OWNER), [memory] * 8)
for _ in range(300):
    body = bytes(random.choices(range(256), k=random.choice((0, 8, 16, 40, 264))))
    ask(message(random.randrange(45), body) + os.urandom(random.randrange(20)), [memory] * random.randrange(4))
got = ask(message(SET_OWNER) + message(GET_FEATURES))
assert len(got) == 20 and struct.unpack('<III', got[:12]) == (GET_FEATURES, 5, 8), got
END
alive || fail 'sluice serve has ended'
io --op randwrite --bs 4k --qd 16 --time 0.3 --verify
few_descriptors
end
