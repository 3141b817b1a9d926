"""Our NamedTuple against typing's: the same answers, without importing typing."""

import copy
import pickle
import subprocess
import sys
from typing import Any
from typing import NamedTuple as Real

import pytest

from preflight.tuples import NamedTuple


class Ours(NamedTuple):
    """A point."""

    x: int
    y: str = "b"
    z: float = 1.5

    @property
    def twice(self) -> int:
        """Return x twice."""
        return self.x * 2


class Theirs(Real):
    """A point."""

    x: int
    y: str = "b"
    z: float = 1.5


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {}),
        ((1, "c"), {}),
        ((1, "c", 2.0), {}),
        ((), {"x": 1}),
        ((1,), {"z": 3.0}),
        ((), {"z": 1.0, "x": 2, "y": "q"}),
    ],
)
def test_made_alike(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ours, theirs = Ours(*args, **kwargs), Theirs(*args, **kwargs)
    assert tuple(ours) == tuple(theirs) == (ours.x, ours.y, ours.z)
    assert ours._asdict() == theirs._asdict()
    assert ours._replace(y="new") == theirs._replace(y="new")
    assert isinstance(ours._replace(y="new"), Ours)
    assert repr(ours).replace("Ours", "Theirs") == repr(theirs)
    assert ours == tuple(ours)
    assert hash(ours) == hash(theirs)
    assert (ours._fields, Ours._field_defaults) == (theirs._fields, Theirs._field_defaults)
    assert copy.deepcopy(ours) == ours
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert ours.twice == ours.x * 2


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((), {"y": "c"}), ((1, 2, 3, 4), {}), ((1,), {"x": 1}), ((1,), {"w": 1})]
)
def test_refused_alike(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for kind in (Ours, Theirs):
        with pytest.raises(TypeError):
            kind(*args, **kwargs)


def test_no_field_can_be_set_or_added() -> None:
    made = Ours(1)
    with pytest.raises(AttributeError):
        made.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        made.other = 2  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no fields w"):
        made._replace(w=1)


def test_typing_stays_out() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import preflight.tuples; print('typing' in sys.modules)"
    source = sys.modules["preflight"].__path__[0].rsplit("/", 1)[0]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, source], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_annotations_that_only_a_function_gives() -> None:
    """Python 3.14's class bodies, where annotations are not text: seen in the lab on Debian sid."""
    body = {"__annotate_func__": lambda form: {"x": int, "y": str}, "y": "b"}
    maker: Any = type(NamedTuple)
    made = maker("Point", (NamedTuple,), body)
    assert made._fields == ("x", "y")
    assert made(1)._asdict() == {"x": 1, "y": "b"}
