# SPDX-License-Identifier: BSD-2-Clause
"""A reader for our own public headers: which functions they declare, with which comment before each."""
import re
from collections import namedtuple

# doc: the kernel-doc comment just before it or None; params: their names; inline: has a body
Function = namedtuple('Function', 'name params doc inline line')

_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|[{};]', re.S)


def _plain(text):
    """Blank out the preprocessor and extern "C" { ... }, keeping line numbers."""
    def blank(match):
        return '\n' * match.group().count('\n')
    text = re.sub(r'(?ms)^#ifdef __cplusplus\n.*?^#endif[^\n]*$', blank, text)
    return re.sub(r'(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', blank, text)


def _without(text, opening, closing):
    """text without what stands in the outermost brackets, and that text."""
    depth, out, inside = 0, [], []
    for c in text:
        depth -= c == closing
        (inside if depth else out).append(c)
        depth += c == opening
    return ''.join(out), ''.join(inside)


def _params(text):
    names = []
    depth, piece = 0, ''
    for c in text + ',':
        depth += (c == '(') - (c == ')')
        if c != ',' or depth:
            piece += c
            continue
        pointer = re.search(r'\(\s*\*\s*(?:const\s+)?(\w+)', piece)
        words = re.findall(r'\w+', re.sub(r'\[.*', '', piece))
        if pointer:
            names.append(pointer.group(1))
        elif words and words != ['void']:
            names.append(words[-1])
        piece = ''
    return names


def _function(statement, doc, inline, line):
    statement = re.sub(r'__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)', '', statement).strip()
    match = re.match(r'[\w\s*]*?\b(\w+)\s*\(', statement)
    if not match or statement.startswith('typedef'):
        return None
    _, inside = _without(statement[match.end() - 1:], '(', ')')
    return Function(match.group(1), _params(inside), doc, inline, line)


def functions(text):
    """Every function that a header declares or defines, in order."""
    text = _plain(text)
    found, doc, statement, depth, at = [], None, '', 0, 0

    def end(inline):
        nonlocal doc, statement
        f = _function(statement, doc, inline, text.count('\n', 0, at) + 1)
        if f:
            found.append(f)
        doc, statement = None, ''
        return bool(f)

    body = False  # inside a function's braces, not a struct's
    for token in _TOKEN.finditer(text):
        if not depth:
            statement += text[at:token.start()]
        at, t = token.end(), token.group()
        if t.startswith(('/*', '//')):
            if not depth and not statement.strip():
                doc = t if t.startswith('/**') else None
        elif t == '{':
            if not depth:
                body = end(inline=True)
            depth += 1
        elif t == '}':
            depth -= 1
            if not depth and body:
                statement, doc = '', None
        elif t == ';' and not depth:
            end(inline=False)
    return found
