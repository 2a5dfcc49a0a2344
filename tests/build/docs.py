#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Links between documents lead somewhere, man pages are built, and nothing speaks of the machine it was written on.

usage: docs.py ROOT
"""
import os
import re
import sys

import tree

LINK = re.compile(r'\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)')
CODE = re.compile(r'^(```|~~~).*?^\1|`[^`\n]*`', re.M | re.S)
# Paths and words that mean nothing to anyone else; not src/work/ and its like.
PRIVATE = re.compile(r'(?<![\w.}-])/(?:work|root)/|\bfarm[-]')


def check_links(root, path):
    problems = []
    for target in LINK.findall(CODE.sub('', tree.read(root, path))):
        local = target.split('#')[0]
        if not local or re.match(r'[a-z][a-z+.-]*:', target):
            continue
        base = root if local.startswith('/') else os.path.join(root, os.path.dirname(path))
        if not os.path.exists(os.path.join(base, local.lstrip('/'))):
            problems.append(f'{path}: the link to {target} leads nowhere')
    return problems


def check_private(root, path):
    return [f'{path}:{n}: {m.group()} means nothing outside the machine it was written on'
            for n, line in enumerate(tree.read(root, path).splitlines(), 1) if (m := PRIVATE.search(line))]


def check(root):
    problems = []
    built = tree.read(root, 'man/meson.build') if os.path.exists(os.path.join(root, 'man/meson.build')) else ''
    for path in tree.tracked(root):
        if path.endswith('.md'):
            problems += check_links(root, path)
        if path.endswith('.scd') and not re.search(rf"'{re.escape(os.path.basename(path)[:-4])}(\.scd)?'", built):
            problems.append(f'{path}: not in man/meson.build')
        problems += check_private(root, path)
    return problems


WORK, ROOT, FARM = '/wo' + 'rk/', '/ro' + 'ot/', 'fa' + 'rm-'
BAD = {
    'a.md': ('[b](docs/b.md#part) [web](https://example.org/x) [here](#top) `[x](y)`\n```\n[x](y)\n```\n', None),
    'docs/b.md': ('see [c](c.md "title")\n', r'b\.md: the link to c\.md leads nowhere'),
    'man/meson.build': ("pages = ['fine.1']\n", None),
    'man/fine.1.scd': ('', None),
    'man/lost.1.scd': ('', r'lost\.1\.scd: not in man'),
    'src/work/x.c': ('/* ../work/x.c src/work/x.c "work/x.h" */\n', None),
    'run.sh': (f'cd {WORK}main\n', r'run\.sh:1: '),
    'home.py': (f'\nopen("{ROOT}x")\n', r'home\.py:2: '),
    'c.c': (f'/* see {FARM}tool */\n', r'c\.c:1: '),
}

if __name__ == '__main__':
    tree.main(check, BAD, sys.argv[1])
