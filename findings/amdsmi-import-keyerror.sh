#!/bin/sh
# amdsmi 7.0.2: on a machine without ROCm `import amdsmi` raises KeyError, and prints two lines to standard output.
#
# Guess: it raises ImportError or OSError, as a binding does whose library is missing, and prints nothing.
# Seen:  KeyError: 'libamd_smi.so', so `except ImportError` around an optional import does not catch it; the two lines
#        stand in the program's standard output, where JSON may be expected.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m venv py
py/bin/python -m pip install -q --disable-pip-version-check amdsmi==7.0.2 2>pip.log || { cat pip.log >&2; exit 1; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

[ ! -e /opt/rocm/lib/libamd_smi.so ] || { echo "not run: ROCm is installed here" >&2; exit 1; }
cat >probe.py <<'END'
import sys

try:
    import amdsmi
except BaseException as error:
    print(type(error).__name__, isinstance(error, (ImportError, OSError)), file=sys.stderr)
END
py/bin/python probe.py >out 2>err
expect "the exception" "KeyError False" "$(cat err)"
expect "lines on standard output" 2 "$(wc -l <out | tr -d ' ')"
