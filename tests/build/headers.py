#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each public header compiles alone, twice in a row, without a warning; none is over 150 lines.

usage: headers.py ROOT c|c++ COMPILER...
"""
import subprocess
import sys

import tree

LINES = 150
STANDARD = {'c': '-std=c17', 'c++': '-std=c++17'}


def compiles(root, name, language, compiler):
    command = compiler + [STANDARD[language], '-Wall', '-Wextra', '-Werror', '-pedantic', '-fsyntax-only',
                          '-I', root + '/include', '-x', language, '-']
    source = f'#include <{name}>\n' * 2
    return subprocess.run(command, input=source, capture_output=True, text=True)


def check_with(language, compiler):
    def check(root):
        problems = []
        for path in tree.under(root, 'include', '.h'):
            lines = tree.read(root, path).count('\n')
            if lines > LINES:
                problems.append(f'{path}: {lines} lines, {LINES} at most')
            result = compiles(root, path[len('include/'):], language, compiler)
            if result.returncode:
                problems.append(f'{path}: does not compile alone as {language}:\n{result.stderr}')
        return problems
    return check


BAD = {
    'include/sluice/fine.h': ('#pragma once\nstruct sl_fine { int x; };\n', None),
    'include/sluice/needy.h': ('#pragma once\nuint32_t sl_needy(void);\n', r'needy\.h: does not compile alone'),
    'include/sluice/unguarded.h': ('struct sl_twice { int x; };\n', r'unguarded\.h: does not compile alone'),
    'include/sluice/long.h': ('#pragma once\nint sl_x;\n' + '\n' * (LINES - 1), r'long\.h: 151 lines'),
}

if __name__ == '__main__':
    root, language, compiler = sys.argv[1], sys.argv[2], sys.argv[3:]
    if not compiler:
        tree.skip(f'no {language} compiler')
    tree.main(check_with(language, compiler), BAD, root)
