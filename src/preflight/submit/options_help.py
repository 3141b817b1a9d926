"""The options that SPANK plugins bring to this cluster's sbatch, as `sbatch --help` lists them."""

import re

from preflight.submit.options_table import ROWS, Row

_HEADING = "Options provided by plugins"
_LINE = re.compile(r" {2,10}--([A-Za-z0-9][A-Za-z0-9_.-]*)(=?)")


def plugin_rows(text: str) -> tuple[Row, ...]:
    """Return the options beneath sbatch's heading for plugins; one that shows "=" takes a value."""
    listed = text.partition(_HEADING)[2].partition("\n\n")[0]
    found = (_LINE.match(line) for line in listed.splitlines())
    return tuple(
        Row(one[1], "", "value" if one[2] else "flag", one[1], False, False)
        for one in found
        if one and one[1] not in ROWS
    )
