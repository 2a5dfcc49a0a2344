#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every function of a public header has its kernel-doc comment just before it, and no @name that it has not.

usage: kerneldoc.py ROOT
"""
import re
import sys

import declared
import tree


def check_function(where, f):
    if not f.doc or not re.match(rf'/\*\*[\s*]*{f.name}\(\) - \S', f.doc):
        return [f'{where}: {f.name}() has no comment "/** {f.name}() - ..." just before it']
    return [f'{where}: {f.name}() has no parameter {name}, its comment speaks of @{name}'
            for name in sorted(set(re.findall(r'(?<!\w)@(\w+)', f.doc)) - set(f.params))]


def check(root):
    problems = []
    for path in tree.under(root, 'include', '.h'):
        for f in declared.functions(tree.read(root, path)):
            problems += check_function(f'{path}:{f.line}', f)
    return problems


BAD = {
    'include/sluice/fine.h': ('''
#ifdef __cplusplus
extern "C" {
#endif
/** struct sl_x - has a callback, which is no function of ours */
struct sl_x {
	int (*call)(int a);
};
/**
 * sl_fine() - all of @a, @call and @list
 * @a: a
 */
int sl_fine(const char *a, int (*call)(void *ctx, int n), const char *const list[2]);
/** sl_inline() - short */
static inline int sl_inline(int n)
{
	if (n) { return 1; }
	return 0;
}
/** sl_table() - returns a pointer to pointers */
__attribute__((pure)) const struct sl_x *const *sl_table(void);
#ifdef __cplusplus
}
#endif
''', None),
    'include/sluice/a.h': ('int sl_bare(void);\n', r'sl_bare\(\) has no comment'),
    'include/sluice/b.h': ('/** sl_typo() - @lenght */\nint sl_typo(int length);\n',
                           r'sl_typo\(\) has no parameter lenght'),
    'include/sluice/c.h': ('/** sl_other() - x */\nint sl_misnamed(void);\n', r'sl_misnamed\(\) has no comment'),
    'include/sluice/d.h': ('/* sl_plain() - x */\nint sl_plain(void);\n', r'sl_plain\(\) has no comment'),
    'include/sluice/e.h': ('/** sl_far() - x */\nstruct sl_y;\nint sl_far(void);\n', r'sl_far\(\) has no comment'),
    'include/sluice/f.h': ('static inline int sl_body(void)\n{\n\treturn 0;\n}\n', r'sl_body\(\) has no comment'),
}

if __name__ == '__main__':
    tree.main(check, BAD, sys.argv[1])
