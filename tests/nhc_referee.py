"""By hand: ask the real NHC which lines of a file it would run, and which names its targets match.

    python tests/nhc_referee.py DIR > tests/unit/data/nhc_referee.json

DIR holds NHC 1.4.3 (its file `nhc` and directory `scripts`). Only its reader runs, under bash: it loads the file and
prints what it would evaluate; no check is run. The answers stand as data, and tests/unit/test_nhc_referee.py compares.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = """n1 n01 n001 n2 n9 n10 n19 n20 n0020 n0030.phys n0099.phys n0001.bio n0100.phys gpu1 gpu01 gpu8 gpu9 gpu10
    gpu19 gpu019 s0 s3 s4 s12 s300 s299 login1 login io1 shas0101 sgpu0801 sgpu0101 sgpu0112 ssky01 x001.cluster.example
    x001 compa1 mycompa a b1 a1 A1 n03 n05 n07 node node-1 node-2 node_3 b-1-ib""".split()  # noqa: SIM905 - reads better
TARGETS = r"""
*
**
?1
n?
n*
*compa*
x*.cluster.example
x001
X001
!*
!io*
!n1
gpu[1-8]
gpu[18]
gpu[!18]
gpu[^18]
s[0-300]
s[0-3][0-9]
n[[:digit:]]
n[0-9]*
[!s]*
@(a|b)1
?(a)1
+([a-z])1
*(gpu)*1
n\[1
/^s(has|gpu)/
/gpu/
!/gpu/
/^n[0-9]+$/
/^n0*[1-9]$/
/n00[0-5][0-9]\.phys$/
/\.(phys|bio)/
/^sgpu0[1-5][01-02]/
/^sgpu0[1-5](0[12]|12)$/
/^[[:alpha:]]+[0-9]$/
/^n{1}1$/
/1$/
/^gpu0?1$/
//
!
!!n1
!//
/^(n1|gpu1)$/
/^.*-[12]$/
{n1}
{n1,gpu1}
{n[1-10]}
{n[01-10]}
{n[1-9]}
{gpu[1-19]}
{gpu[01-19]}
{gpu[19-1]}
{gpu[001-19]}
{n00[00-99].phys,n000[0-4].bio}
!{n03,n05,n0[7-9]}
{n00[10-21,23]}
{n1, n2}
{login}
{login,n1}
{n1,login,n2}
{node-[1-2]}
{b-[1-3]-ib}
{n1
n1}
/n1
n1/
gpu* && !gpu9
gpu*&&*1
""".strip("\n").split("\n")
CONF = r"""# a comment \
* || check_in_a_comment
   * || check_blanks    a   b@@
* || check_backslash 'a\.b' "c\\d" e\ f
* || check_continued a \
   b \
c
	gpu1	||	check_tabs	x
gpu2 || check_other_node
gpu1||check_no_blanks
* || check_bars a || check_after_bars
* ||
 || check_no_target
export BARE=1
* || # only a comment behind
* || export A="x  y"
#* || check_commented
! || check_not_nothing
* || check_quoted 'a  b' "c   d"
gpu1 || check_last_without_newline""".replace("@@", "  ")

READER = r"""
NHC_LOAD_ONLY=1 . "$1/nhc"
set -f
. "$1/scripts/common.nhc"
function dbg() { :; }
function log() { :; }
while IFS= read -r TARGET <&3; do
    while IFS= read -r NAME <&4; do
        mcheck "$NAME" "$TARGET" 2>/dev/null && printf '%s\t%s\n' "$TARGET" "$NAME"
    done 4<"$3"
done 3<"$2"
HOSTNAME=gpu1 CHECKS=( )
nhc_load_conf "$4"
for ((i=0; i<${#CHECKS[*]}; i++)); do
    CHECK="${CHECKS[$i]}"
    set -- $CHECK
    printf 'CHECK\t%s\n' "$*"
done
"""


def ask(place: str) -> dict[str, object]:
    """Return NHC's answers: each target's names, and the checks of CONF on the node gpu1."""
    with tempfile.TemporaryDirectory() as directory:
        files = {"targets": "\n".join(TARGETS) + "\n", "names": "\n".join(NAMES) + "\n", "conf": CONF, "reader": READER}
        for name, text in files.items():
            Path(directory, name).write_text(text)
        words = ["bash", f"{directory}/reader", place, *(f"{directory}/{one}" for one in ("targets", "names", "conf"))]
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    matched: dict[str, list[str]] = {target: [] for target in TARGETS}
    checks = []
    for line in said:
        first, _, second = line.partition("\t")
        if first == "CHECK":
            checks.append(second)
        elif first in matched:
            matched[first].append(second)
    return {"names": NAMES, "targets": matched, "conf": CONF, "checks": checks}


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1]), indent=1))
