"""Our table of sbatch's options against the sbatch of the release in use: none is missing, each takes what it takes.

getopt tells the whole table: of an abbreviation it lists what it may mean, of an option it says whether a value misses.
"""

import re
import string
import subprocess
from collections.abc import Iterator

import pytest

from lab import Lab, LabNode, unavailable
from preflight.submit.environment import VARIABLES
from preflight.submit.options_table import LETTERS, ROWS

pytestmark = pytest.mark.lab
# What a newer release made optional, and what an older one takes differently: --x=value is read in either case.
WIDER = {"requeue", "get-user-env"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with Lab(nodes=[LabNode("n1")]) as running:
        yield running


def sbatch(lab: Lab, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run sbatch with nothing on stdin, so that it submits nothing."""
    return lab.run(["sbatch", *words])


def listed(lab: Lab) -> set[str]:
    """Return all options by what getopt says of their first letters."""
    found: set[str] = set()
    for letter in string.ascii_lowercase:
        said = sbatch(lab, f"--{letter}").stderr
        _, ambiguous, names = said.partition("possibilities:")
        if ambiguous:
            found |= set(re.findall(r"'--([^']+)'", names))
        elif "unrecognized option" not in said:
            # The only one of that letter; getopt names it in full once it is used wrongly.
            said += sbatch(lab, f"--{letter}=").stderr
            exact = re.search(r"option '--([^']+)' (?:requires|doesn't allow)", said)
            assert exact is not None, said
            found.add(exact[1])
    return found


@pytest.fixture(scope="module")
def names(lab: Lab) -> set[str]:
    """All long options of this release."""
    return listed(lab)


def test_every_option_of_this_release_is_known(names: set[str]) -> None:
    assert len(names) > 90
    assert names <= set(ROWS)


def test_the_help_names_no_other(lab: Lab, names: set[str]) -> None:
    shown = set(re.findall(r"^ +(?:-\w,? +)?--([a-z][a-z-]+)", sbatch(lab, "--help").stdout, re.MULTILINE))
    assert len(shown) > 80
    assert shown - set(ROWS) == set()
    # Those are known to getopt under the longer name alone, or are what the help itself says wrongly.
    assert shown - names <= {"power"}


def test_each_takes_what_the_table_says(lab: Lab, names: set[str]) -> None:
    wrong = []
    for name in sorted(names - {"help", "usage", "version"}):
        if "requires an argument" in sbatch(lab, f"--{name}").stderr:
            takes = "value"
        else:
            refused = "doesn't allow an argument" in sbatch(lab, f"--{name}=x").stderr
            takes = "flag" if refused else "optional"
        if ROWS[name].takes != takes and not (name in WIDER and ROWS[name].takes == "optional"):
            wrong.append((name, takes, ROWS[name].takes))
    assert wrong == []


def test_each_letter(lab: Lab) -> None:
    for letter in string.ascii_letters:
        said = sbatch(lab, f"-{letter}").stderr
        if "invalid option" in said:
            assert letter not in LETTERS, letter
        else:
            assert letter in LETTERS, letter
            assert ("requires an argument" in said) is (LETTERS[letter].takes == "value"), letter


def test_every_variable_of_the_manual_is_known(lab: Lab) -> None:
    done = subprocess.run(["man", "sbatch"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    section = done.stdout.partition("INPUT ENVIRONMENT VARIABLES")[2].partition("OUTPUT ENVIRONMENT VARIABLES")[0]
    if not section:
        pytest.skip("the manual of sbatch is not installed")
    manual = set(re.findall(r"^ {7}(SBATCH_[A-Z_0-9]+)", section, re.MULTILINE))
    assert len(manual) > 40
    # They have no option of their own: parts of --switches.
    assert manual - set(VARIABLES) <= {"SBATCH_REQ_SWITCH", "SBATCH_WAIT4SWITCH"}
