"""slurm_plugin/text.c, loaded as a library: what users and programs wrote, made fit for a terminal."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SOURCE = Path(__file__).parents[2] / "slurm_plugin" / "text.c"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("text") / "text.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.text_has_control.restype = ctypes.c_bool
    loaded.text_has_control.argtypes = [ctypes.c_char_p]
    loaded.text_is_word.restype = ctypes.c_bool
    loaded.text_is_word.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    loaded.text_last_line.restype = ctypes.c_char_p
    return loaded


def clean(text: ctypes.CDLL, raw: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(raw)
    text.text_clean(buffer)
    return buffer.value


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"cuda>=x\n      ^", b"cuda>=x\n      ^"),
        (b"\x1b[31mred\x07", b"?[31mred?"),
        (b"a\tb\rc\x7f", b"a b?c?"),
        ("Größe ≥ 4 日本 🙂".encode(), "Größe ≥ 4 日本 🙂".encode()),
        ("C1 \x9b31m".encode(), b"C1 ??31m"),
        (b"raw \x9b31m \xff", b"raw ?31m ?"),
        ("turned \u202e around".encode(), b"turned ??? around"),
        (b"cut \xe6\x97", b"cut ??"),
        (b"overlong \xe0\x80\x80 \xc0\x8a", b"overlong ??? ??"),
        (b"surrogate \xed\xa0\x80", b"surrogate ???"),
    ],
)
def test_clean(text: ctypes.CDLL, raw: bytes, shown: bytes) -> None:
    assert clean(text, raw) == shown


@given(st.binary().map(lambda raw: raw.replace(b"\0", b"")))
def test_what_is_cleaned_is_text_without_control_characters(text: ctypes.CDLL, raw: bytes) -> None:
    shown = clean(text, raw)
    assert len(shown) == len(raw)
    characters = shown.decode("utf-8", "strict")
    assert not [c for c in characters if c != "\n" and (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0)]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf"])))
def test_plain_text_is_left_alone(text: ctypes.CDLL, plain: str) -> None:
    assert clean(text, plain.encode()).decode() == plain
    assert not text.text_has_control(plain.encode())


@pytest.mark.parametrize("raw", [b"a\x1b", b"\x01", b"\x7f", b"a\rb", "\x9b".encode(), b"x\x08"])
def test_control_characters_are_found(text: ctypes.CDLL, raw: bytes) -> None:
    assert text.text_has_control(raw)


@pytest.mark.parametrize("raw", [b"", b"cuda>=12.4,\n\tgpu", "é ≥".encode()])
def test_white_space_is_no_control_character(text: ctypes.CDLL, raw: bytes) -> None:
    assert not text.text_has_control(raw)


@pytest.mark.parametrize("raw", [b"", b"none", b"v1:3f2a9c0d1e2f:sm_80+sm_90/@12.4", b"!~", b"x" * 1024])
def test_a_word_of_printing_characters(text: ctypes.CDLL, raw: bytes) -> None:
    assert text.text_is_word(raw, 1024)


@pytest.mark.parametrize(
    "raw", [b"x" * 1025, b"x" * 200_000, b"a b", b"a\n", b"a\t", b"\x1b", b"a\x7f", "é".encode(), b"\xff"]
)
def test_what_is_no_word(text: ctypes.CDLL, raw: bytes) -> None:
    assert not text.text_is_word(raw, 1024)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", b""),
        (b"\n \n", b""),
        (b"one", b"one"),
        (b"Traceback\n  x\nKeyError: 'a'\n\n", b"KeyError: 'a'"),
        (b"y" * 999, b"y" * 200),
        (b"y" * 199 + "é".encode() * 9, b"y" * 199),
    ],
)
def test_last_line(text: ctypes.CDLL, raw: bytes, line: bytes) -> None:
    assert text.text_last_line(ctypes.create_string_buffer(raw)) == line
