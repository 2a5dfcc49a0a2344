#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The house: a file under src/ includes its own folder and the floors below it, nothing else.

usage: floors.py ROOT
"""
import os
import re
import sys

import tree

# Bottom to top. Folders on one floor do not know each other.
FLOORS = [
    ['base'],
    ['space', 'work'],
    ['ring', 'virtq', 'wire'],
    ['packet', 'virtio'],
    ['device', 'offer', 'tunnel'],
    ['port'],
    ['link'],
    ['cli'],
]
FLOOR = {folder: n for n, floor in enumerate(FLOORS) for folder in floor}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)

# What a public header may ask of the system: the C library and the kernel's own headers.
C_HEADERS = {'assert.h', 'complex.h', 'ctype.h', 'errno.h', 'fenv.h', 'float.h', 'inttypes.h', 'iso646.h', 'limits.h',
             'locale.h', 'math.h', 'setjmp.h', 'signal.h', 'stdalign.h', 'stdarg.h', 'stdatomic.h', 'stdbool.h',
             'stddef.h', 'stdint.h', 'stdio.h', 'stdlib.h', 'stdnoreturn.h', 'string.h', 'tgmath.h', 'threads.h',
             'time.h', 'uchar.h', 'wchar.h', 'wctype.h'}


def includes(root, path):
    return INCLUDE.findall(tree.read(root, path))


def exists(root, *path):
    return os.path.isfile(os.path.join(root, *path))


def check_quoted(root, path, folder, name):
    other = name.split('/')[0]
    if '/' not in name or not exists(root, 'src', name):
        return f'{path}: "{name}" is not "folder/file.h" of src/'
    if other == folder:
        return None
    if other not in FLOOR:
        return f'{path}: "{name}": src/{other}/ has no floor'
    if FLOOR[other] > FLOOR[folder]:
        return f'{path}: "{name}" is on a floor above {folder}/'
    if FLOOR[other] == FLOOR[folder]:
        return f'{path}: "{name}": {other}/ and {folder}/ are on one floor and do not know each other'
    return None


def check_source(root, path):
    folder = path.split('/')[1]
    if folder not in FLOOR:
        return [f'{path}: src/{folder}/ has no floor: give it one in tests/build/floors.py']
    problems = []
    for mark, name in includes(root, path):
        if mark == '"':
            problems.append(check_quoted(root, path, folder, name))
        elif name.startswith('sluice/'):
            if not exists(root, 'include', name):
                problems.append(f'{path}: <{name}> does not exist')
        elif exists(root, 'src', name):
            problems.append(f'{path}: <{name}> is our own: "{name}"')
    return [p for p in problems if p]


def check_public(root, path):
    problems = []
    for mark, name in includes(root, path):
        ours = mark == '<' and name.startswith('sluice/') and exists(root, 'include', name)
        system = mark == '<' and (name in C_HEADERS or name.startswith(('linux/', 'sys/')))
        if not ours and not system:
            problems.append(f'{path}: {name}: a public header includes <sluice/...>, C and Linux headers only')
    return problems


def check(root):
    problems = []
    for path in tree.under(root, 'src', '.c', '.h'):
        problems += check_source(root, path)
    for path in tree.under(root, 'include', '.h'):
        problems += check_public(root, path)
    return problems


BAD = {
    'include/sluice/fine.h': ('#include <stdint.h>\n#include <linux/types.h>\n', None),
    'include/sluice/inside.h': ('#include "base/fd.h"\n', r'inside\.h: base/fd\.h: a public header'),
    'include/sluice/foreign.h': ('#include <pcap/pcap.h>\n', r'foreign\.h: pcap/pcap\.h: a public header'),
    'src/base/fd.h': ('', None),
    'src/base/up.c': ('#include "ring/ring.h"\n', r'base/up\.c: .* above'),
    'src/base/bare.c': ('#include "fd.h"\n', r'base/bare\.c: "fd\.h" is not'),
    'src/base/angle.c': ('# include <base/fd.h>\n', r'base/angle\.c: <base/fd\.h> is our own'),
    'src/ring/ring.h': ('#include "base/fd.h"\n#include <sluice/fine.h>\n#include <errno.h>\n', None),
    'src/ring/gone.c': ('#include <sluice/gone.h>\n', r'ring/gone\.c: <sluice/gone\.h> does not exist'),
    'src/device/pci.h': ('', None),
    'src/offer/net.c': ('#include "device/pci.h"\n', r'offer/net\.c: .* one floor'),
    'src/port/nic/e1000e.c': ('#include "device/pci.h"\n#include "ring/ring.h"\n', None),
    'src/cli/cli.h': ('', None),
    'src/link/link.c': ('#include "cli/cli.h"\n', r'link/link\.c: .* above'),
    'src/attic/x.c': ('', r'src/attic/ has no floor'),
}

if __name__ == '__main__':
    tree.main(check, BAD, sys.argv[1])
