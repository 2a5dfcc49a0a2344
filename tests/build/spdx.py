#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every file that can say its licence does, in its first lines: BSD-2-Clause, under kmod/ GPL-2.0-only, or both where a
program includes it.

usage: spdx.py ROOT
"""
import os
import re
import sys

import tree

ENDINGS = ('.c', '.h', '.py', '.sh', '.bash', '.build', '.scd', '.yml', '.yaml')
NAMES = ('Makefile', 'Kbuild', 'dkms.conf', 'meson_options.txt')
UAPI = '((GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause)'


def check(root):
    problems = []
    for path in tree.tracked(root):
        text = tree.read(root, path)
        if not path.endswith(ENDINGS) and os.path.basename(path) not in NAMES and not text.startswith('#!'):
            continue
        ours = ('GPL-2.0-only', UAPI) if path.startswith('kmod/') else ('BSD-2-Clause',)
        head = '\n'.join(text.splitlines()[:3])
        found = re.search(r'SPDX-License-Identifier: (.*?)(?: \*/)?$', head, re.M)
        if not found:
            problems.append(f'{path}: no SPDX-License-Identifier in its first lines')
        elif found.group(1) not in ours:
            problems.append(f'{path}: {found.group(1)} where {ours[0]} is ours')
    return problems


BSD = 'SPDX-License-Identifier: BSD-2-' + 'Clause'
GPL = 'SPDX-License-Identifier: GPL-2.0-' + 'only'
BAD = {
    'src/base/fine.c': (f'/* {BSD} */\n', None),
    'kmod/gate/fine.c': (f'// {GPL}\n', None),
    'kmod/gate/gate.h': (f'/* SPDX-License-Identifier: {UAPI} */\n', None),
    'src/base/uapi.h': (f'/* SPDX-License-Identifier: {UAPI} */\n', r'uapi\.h: .* where BSD-2-Clause'),
    'README.md': ('no comments here\n', None),
    'src/base/none.c': ('int x;\n', r'none\.c: no SPDX'),
    'scripts/tool': ('#!/bin/sh\n', r'tool: no SPDX'),
    'man/late.scd': (f'a\nb\nc\n; {BSD}\n', r'late\.scd: no SPDX'),
    'kmod/gate/bsd.c': (f'/* {BSD} */\n', r'gate/bsd\.c: BSD-2-Clause where'),
    'src/base/gpl.h': (f'/* {GPL} */\n', r'gpl\.h: GPL-2\.0-only where'),
}

if __name__ == '__main__':
    tree.main(check, BAD, sys.argv[1])
