"""The hook's policy: one stat where nothing changed, the last good one in observe mode where it broke."""

import itertools
import json
import os
import stat
import time
from pathlib import Path

import pytest

from preflight.policy import cache, load
from preflight.policy.cache import PolicyInForce, cached_policy
from preflight.policy.model import Policy

GOOD = (
    'version = 1\ncluster = "one"\nmode = "enforce"\n[[expect]]\nnodes = "n[1-2]"\nrequire = "kernel>=5"\n'
    '[report]\nspool = "/s/%n"\n'
)


class Site:
    """A policy file and a runtime directory; counts how often the file was parsed."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.file, self.run_dir, self.parsed = place / "p.toml", place / "run", 0
        self.write(GOOD)
        parse = load.parse_policy

        def counting(text: str, path: str, more: tuple[tuple[str, str], ...] = (), root: str = "") -> Policy:
            self.parsed += 1
            return parse(text, path, more, root)

        patch.setattr(load, "parse_policy", counting)

    def policy(self, node: str = "n1") -> Policy:
        return cached_policy(str(self.file), node, str(self.run_dir))

    def write(self, text: str, name: str = "p.toml", age_s: float = 60) -> None:
        """Write the policy, or a drop-in of it, as of ``age_s`` ago."""
        path = self.file.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        written = time.time_ns() - int(age_s * 1e9)
        os.utime(path, ns=(written, written))

    def stored(self, node: str = "n1") -> Path:
        return self.run_dir / f"policy-{node}.json"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_a_hit_is_the_same_policy_without_parsing(site: Site) -> None:
    first = site.policy()
    assert site.policy() == first
    assert site.parsed == 1
    assert (first.cluster, first.report.spool, len(first.expect), first.problem) == ("one", "/s/n1", 1, "")


def test_the_cache_is_roots_alone(site: Site) -> None:
    site.policy()
    assert stat.S_IMODE(site.stored().stat().st_mode) == 0o600


def test_each_node_has_its_own(site: Site) -> None:
    assert site.policy("n1").expect
    assert not site.policy("n3").expect
    assert site.policy("n1").report.spool == "/s/n1"
    assert site.policy("n3").report.spool == "/s/n3"
    assert site.parsed == 2


def test_a_changed_file_is_parsed_again(site: Site) -> None:
    site.policy()
    site.file.write_text(GOOD.replace("one", "two"))  # same size; only mtime_ns tells
    os.utime(site.file, ns=(1, 1))
    assert site.policy().cluster == "two"
    assert site.policy().cluster == "two"
    assert site.parsed == 2


def test_a_replaced_file_of_the_same_size_and_time_is_parsed_again(site: Site) -> None:
    site.policy()
    info = site.file.stat()
    other = site.file.with_name("new")
    other.write_text(GOOD.replace("one", "two"))
    os.utime(other, ns=(info.st_atime_ns, info.st_mtime_ns))
    other.rename(site.file)
    assert site.policy().cluster == "two"


def test_another_release_of_preflight_parses_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.policy()
    monkeypatch.setattr(cache, "__version__", "99")
    site.policy()
    assert site.parsed == 2


def test_a_broken_file_gives_the_last_good_one_in_observe_mode(site: Site) -> None:
    good = site.policy()
    site.file.write_text("version = 1\nmode = 4\ncluster = 5\n")
    for _ in range(2):
        policy = site.policy()
        assert policy.problem.startswith(f"{site.file}:2: mode: ")
        assert "\n" not in policy.problem
        assert policy == good._replace(mode="observe", problem=policy.problem)


def test_a_broken_file_with_nothing_kept_gives_the_defaults_in_observe_mode(site: Site) -> None:
    site.file.write_text("version = ")
    policy = site.policy()
    assert policy.problem.startswith(f"{site.file}:1: not TOML")
    assert policy == Policy(mode="observe", problem=policy.problem, site_points=())


def test_a_missing_file_is_a_problem_not_a_crash(site: Site) -> None:
    good = site.policy()
    site.file.unlink()
    policy = site.policy()
    assert (policy.mode, policy.cluster) == ("observe", good.cluster)
    assert "No such file" in policy.problem


def test_a_repaired_file_enforces_again(site: Site) -> None:
    site.file.write_text("version = 2\n")
    assert site.policy().mode == "observe"
    site.write(GOOD)
    assert (site.policy().mode, site.policy().problem) == ("enforce", "")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"key": 1}', "null"])
def test_a_spoiled_cache_is_made_anew(site: Site, text: str) -> None:
    first = site.policy()
    site.stored().write_text(text)
    assert site.policy() == first
    assert json.loads(site.stored().read_text())["policy"]["cluster"] == "one"


@pytest.mark.parametrize("policy", [{}, 4, {"facts": 3}, None])
def test_a_spoiled_policy_under_the_right_key_is_made_anew(site: Site, policy: object) -> None:
    first = site.policy()
    stored = json.loads(site.stored().read_text())
    site.stored().write_text(json.dumps({**stored, "policy": policy}))
    assert site.policy() == first
    assert site.parsed == 2


def test_a_cache_that_somebody_else_could_have_written_is_not_read(site: Site) -> None:
    first = site.policy()
    elsewhere = site.stored().with_name("theirs")
    stored = json.loads(site.stored().read_text())
    stored["policy"]["cluster"] = "forged"
    elsewhere.write_text(json.dumps(stored))
    site.stored().unlink()
    site.stored().symlink_to(elsewhere)
    assert site.policy() == first


def test_without_a_place_for_the_cache_the_policy_still_comes(site: Site) -> None:
    site.run_dir.write_text("not a directory")
    assert site.policy().cluster == "one"


def test_a_file_written_just_now_does_not_replace_a_good_one_yet(site: Site) -> None:
    site.policy()
    half = GOOD.partition("[[expect]]")[0]  # cut at a line's end it is valid TOML
    site.write(half, age_s=0)
    assert site.policy().expect
    site.write(half, age_s=cache.SETTLE_S + 0.1)
    assert not site.policy().expect


@pytest.mark.parametrize("step_s", [0.3, 1.1, -5.0])
def test_the_agent_takes_a_file_that_settles_while_it_looks(
    site: Site, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """Whatever the clock does between two questions, the old policy never stays for good."""
    inside = PolicyInForce(str(site.file), "n1", str(site.run_dir))
    assert inside.get().cluster == "one"
    site.write(GOOD.replace("one", "two"), age_s=0)
    now = site.file.stat().st_mtime
    with monkeypatch.context() as patch:
        ticks = itertools.count(now + cache.SETTLE_S - 0.1, step_s)
        patch.setattr(cache.time, "time", lambda: next(ticks))
        inside.get()
    monkeypatch.setattr(cache.time, "time", lambda: now + 60)
    assert inside.get().cluster == "two"
    assert inside.get() is inside.get()


def test_a_file_that_changes_as_it_is_read_does_not_count_yet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.policy()
    half = GOOD.partition("[[expect]]")[0]
    site.write(half)
    real = load.read_policy

    def reading(path: str) -> Policy:
        found = real(path)
        site.write(GOOD.replace("one", "two"), age_s=0)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(load, "read_policy", reading)
        assert site.policy().expect
    assert site.policy().expect
    site.write(GOOD.replace("one", "two"))
    assert (site.policy().cluster, len(site.policy().expect)) == ("two", 1)


def test_the_first_policy_counts_at_once_and_so_does_one_from_the_future(site: Site) -> None:
    site.write(GOOD, age_s=0)
    assert site.policy().cluster == "one"
    site.write(GOOD.replace("one", "two"), age_s=-3600)
    assert site.policy().cluster == "two"


def test_a_drop_in_counts_when_it_comes_changes_and_goes(site: Site) -> None:
    assert site.policy().cluster == "one"
    site.write('cluster = "two"\n', "p.d/10-site.toml")
    assert (site.policy().cluster, site.policy().cluster) == ("two", "two")
    assert site.parsed == 2
    site.write('cluster = "three"\n', "p.d/10-site.toml")
    assert site.policy().cluster == "three"
    site.write('cluster = "late"\n', "p.d/20-new.toml", age_s=0)
    assert site.policy().cluster == "three"
    (site.file.parent / "p.d/20-new.toml").unlink()
    (site.file.parent / "p.d/10-site.toml").unlink()
    assert site.policy().cluster == "one"


def test_what_no_check_is_called_is_found_once_a_policy(site: Site) -> None:
    asked: list[str] = []

    def examine(policy: Policy) -> list[str]:
        asked.append(policy.cluster)
        return ["p.toml:1: no such check"]

    for _ in range(2):
        policy = cached_policy(str(site.file), "n1", str(site.run_dir), examine)
        assert policy.doubts() == ("p.toml:1: no such check",)
    assert asked == ["one"]
