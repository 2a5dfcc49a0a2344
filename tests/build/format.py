#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""clang-format has nothing to change in any .c or .h file; with --fix, let it. Those under kmod/ have the kernel's own style:
kmod.py.

usage: format.py ROOT [--fix]
"""
import re
import shutil
import subprocess
import sys

import tree


def clang_format(root, *options):
    paths = [p for p in tree.tracked(root) if p.endswith(('.c', '.h')) and not p.startswith('kmod/')]
    return subprocess.run(['clang-format', *options, *paths], cwd=root, capture_output=True, text=True) if paths else None


def check(root):
    result = clang_format(root, '--dry-run', '-Werror')
    spots = re.findall(r'(?m)^(.+?):(\d+):\d+: error: ', result.stderr)
    if result.returncode and not spots:
        return [result.stderr]
    first = {path: line for path, line in reversed(spots)}
    return [f'{path}:{line}: make fmt would change this file' for path, line in sorted(first.items())]


BAD = {
    '.clang-format': ('BasedOnStyle: LLVM\n', None),
    'src/fine.c': ('int x;\n', None),
    'kmod/gate/other.c': ('int   z ;\n', None),
    'src/bad.c': ('int y;\nint   x ;\n', r'bad\.c:2: make fmt'),
}

if __name__ == '__main__':
    if not shutil.which('clang-format'):
        tree.skip('no clang-format')
    if '--fix' in sys.argv:
        sys.exit(clang_format(sys.argv[1], '-i').returncode)
    tree.main(check, BAD, sys.argv[1])
