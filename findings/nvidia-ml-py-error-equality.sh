#!/bin/sh
# nvidia-ml-py 13.615.71: an NVMLError cannot be hashed, and comparing one with anything else raises.
#
# Guess: an NVMLError is an exception like others: it can be counted or kept in a set or dict, and `error == None` is False.
# Seen:  hash(error), Counter([error]), {error}  -> TypeError: unhashable type
#        error == None, error == 15              -> AttributeError: … has no attribute 'value'
#        error in [None, other]                  -> the same, since `in` compares
#        NVMLError(15) == NVMLError(15)          -> True; error is None works
# A table of results, None where a call went well, must not be searched with `in` or counted; error.value may be.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m pip install -q --no-deps --root-user-action=ignore --disable-pip-version-check --target py \
    nvidia-ml-py==13.615.71 2>pip.log || { cat pip.log >&2; exit 1; }
export PYTHONPATH="$work/py"
# ask EXPRESSION: its value or the error it raises, with `error` an NVMLError
ask() {
    python3 -c "
import collections, pynvml
error = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
other = pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
try:
    print($1)
except Exception as raised:
    print(type(raised).__name__)"
}

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

expect "the class" "NVMLError_GpuIsLost" "$(ask 'type(error).__name__')"
expect "hash" "TypeError" "$(ask 'hash(error)')"
expect "Counter" "TypeError" "$(ask 'collections.Counter([error])')"
expect "== None" "AttributeError" "$(ask 'error == None')"
expect "== a number" "AttributeError" "$(ask 'error == pynvml.NVML_ERROR_GPU_IS_LOST')"
expect "in a list with None" "AttributeError" "$(ask 'error in [None, other]')"
expect "its own kind" "True" "$(ask 'error == pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)')"
expect "is None" "False" "$(ask 'error is None')"
