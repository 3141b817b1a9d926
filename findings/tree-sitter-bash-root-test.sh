#!/bin/sh
# tree-sitter-bash 0.25.1 (tree-sitter 0.25.2): `[ -d / ]` is a syntax error to it; `[ -d /tmp ]` and `[ -d "/" ]` are not.
#
# Guess: a path is a word, whatever its length.
# Seen:  has_error is true for [ -d / ], [[ -d / ]] and [[ -e / ]] && true; false with /x, "/" or `test -d /`.
#        bash -n takes all of them.
# What it costs: who takes has_error for "bash cannot read it" calls a good line of a script broken.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check tree-sitter==0.25.2 tree-sitter-bash==0.25.1
cat >"$work/ask.py" <<'END'
import subprocess
from importlib.metadata import version

import tree_sitter_bash
from tree_sitter import Language, Parser

parser = Parser(Language(tree_sitter_bash.language()))
broken, whole = ["[ -d / ]", "[[ -d / ]]", "[[ -e / ]] && true"], ["[ -d /x ]", '[ -d "/" ]', "test -d /", "[[ / == / ]]"]
print("tree-sitter-bash", version("tree-sitter-bash"), "tree-sitter", version("tree-sitter"))
changed = False
for text in broken + whole:
    subprocess.run(["bash", "-n", "-c", text], check=True)
    error = parser.parse(text.encode()).root_node.has_error
    print(f"{text:24} bash -n: fine   has_error: {error}")
    changed = changed or error is not (text in broken)
raise SystemExit("changed: the line above that begins otherwise" if changed else 0)
END
"$work/env/bin/python" "$work/ask.py"
