#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each public header compiles alone, twice in a row, without a warning; none is over 150 lines. So does that of a kernel
module, which is as long as it must be.

usage: headers.py ROOT c|c++ COMPILER...
"""
import os
import subprocess
import sys

import tree

LINES = 150
STANDARD = {'c': '-std=c17', 'c++': '-std=c++17'}


def complaint(root, path, language, compiler, *options):
    folder, name = os.path.split(path) if path.startswith('kmod/') else ('include', path[len('include/'):])
    command = compiler + [STANDARD[language], '-Wall', '-Wextra', '-Werror', '-fsyntax-only', *options,
                          '-I', os.path.join(root, folder), '-x', language, '-']
    source = f'#include <{name}>\n' * 2
    result = subprocess.run(command, input=source, capture_output=True, text=True)
    return [f'{path}: does not compile alone as {language}:\n{result.stderr}'] if result.returncode else []


def modules(root):
    """kmod/NAME/NAME.h. They have what the kernel's own have: arrays without a length."""
    return [p for p in tree.under(root, 'kmod', '.h') if os.path.basename(p) == os.path.basename(os.path.dirname(p)) + '.h']


def check_with(language, compiler):
    def check(root):
        problems = []
        for path in tree.under(root, 'include', '.h'):
            lines = tree.read(root, path).count('\n')
            if lines > LINES:
                problems.append(f'{path}: {lines} lines, {LINES} at most')
            problems += complaint(root, path, language, compiler, '-pedantic')
        for path in modules(root):
            problems += complaint(root, path, language, compiler)
        return problems
    return check


BAD = {
    'include/sluice/fine.h': ('#pragma once\nstruct sl_fine { int x; };\n', None),
    'include/sluice/needy.h': ('#pragma once\nuint32_t sl_needy(void);\n', r'needy\.h: does not compile alone'),
    'include/sluice/unguarded.h': ('struct sl_twice { int x; };\n', r'unguarded\.h: does not compile alone'),
    'kmod/gate/gate.h': ('#pragma once\nstruct gate { int n; int fds[]; };\n', None),
    'kmod/gate/inside.h': ('struct device *gate;\n', None),
    'kmod/lock/lock.h': ('#pragma once\nu32 lock;\n', r'lock/lock\.h: does not compile alone'),
    'include/sluice/long.h': ('#pragma once\nint sl_x;\n' + '\n' * (LINES - 1), r'long\.h: 151 lines'),
}

if __name__ == '__main__':
    root, language, compiler = sys.argv[1], sys.argv[2], sys.argv[3:]
    if not compiler:
        tree.skip(f'no {language} compiler')
    tree.main(check_with(language, compiler), BAD, root)
