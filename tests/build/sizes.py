#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Small on purpose: no file under src/ or kmod/ over 500 lines, no function over 60.

usage: sizes.py ROOT
"""
import re
import sys

import tree

FILE_LINES = 500
FUNCTION_LINES = 60


def function_lengths(lines):
    """(name, first line, length): our style opens and closes functions, and only them, with a bare brace in column 0."""
    first, name = 0, ''
    inside = False
    for n, line in enumerate(lines, 1):
        if inside:
            if line.startswith('}'):
                yield name, first, n - first + 1
                inside = False
        elif line == '{':
            inside = True
        elif re.match(r'[A-Za-z_][^;=]*\(', line):
            found = re.search(r'(\w+)\(', re.sub(r'__attribute__\(\(.*?\)\)+', '', line))
            first, name = n, found[1] if found else '?'


def check(root):
    problems = []
    for path in tree.under(root, 'src', '.c', '.h') + tree.under(root, 'kmod', '.c', '.h'):
        lines = tree.read(root, path).splitlines()
        if len(lines) > FILE_LINES:
            problems.append(f'{path}: {len(lines)} lines, {FILE_LINES} at most')
        for name, first, length in function_lengths(lines):
            if length > FUNCTION_LINES:
                problems.append(f'{path}:{first}: {name}() has {length} lines, {FUNCTION_LINES} at most')
    return problems


BAD = {
    'src/base/full.c': ('int full(void)\n{\n' + '\treturn 0;\n' * (FUNCTION_LINES - 3) + '}\n', None),
    'src/base/long.c': ('struct s {\n\tint x;\n};\nstatic int too_long(int a,\n\t\tint b)\n{\n' + '\n' * FUNCTION_LINES + '}\n',
                        r'long\.c:4: too_long\(\) has 64 lines'),
    'src/base/variable.c': ('static int x __attribute__((aligned(8)));\n__attribute__((cold))\n', None),
    'kmod/gate/big.c': ('int x;\n' * (FILE_LINES + 1), r'gate/big\.c: 501 lines'),
    'src/base/big.c': ('int x;\n' * (FILE_LINES + 1), r'base/big\.c: 501 lines'),
}

if __name__ == '__main__':
    tree.main(check, BAD, sys.argv[1])
