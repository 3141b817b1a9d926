"""docs/checks.md says what the registry says."""

from pathlib import Path

import pytest

from preflight.checks.registry import every_check
from preflight.cli.checks_page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "checks.md"


def test_the_page_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "write checks_page.page() of docs/checks.md back to the file"


def test_every_check_has_a_section_with_what_to_do() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, check in every_check().items():
        section = text.partition(f"### `{name}`")[2].partition("###")[0]
        assert check.remedy in section
        assert check.help in section


def test_a_page_without_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="no part between"):
        page("# Checks\n")
