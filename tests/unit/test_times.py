"""The table of what each test file took (tests/times.py), which ends a whole run."""

from pathlib import Path

from times import table


def test_runs_stand_side_by_side_the_longest_file_first(tmp_path: Path) -> None:
    host, newer = tmp_path / "host.tsv", tmp_path / "26.05.tsv"
    host.write_text("tests/lab/test_a.py\t10.0\t1.0\t3\t0\ntests/lab/test_b.py\t30.4\t20.2\t2\t0\n")
    newer.write_text("tests/lab/test_a.py\t50.0\t2.0\t3\t1\ntests/lab/test_c.py\t1.0\t0.6\t1\t0\n")
    rows = [
        line.split() for line in table({"host": host, "26.05": newer, "none": tmp_path / "none.tsv"}, 2).splitlines()
    ]
    assert rows == [
        ["seconds", "of", "wall/CPU", "host", "26.05", "none"],
        ["lab/test_a.py", "10/1", "!", "50/2"],
        ["lab/test_b.py", "30/20"],
        ["1", "more", "files", "1/1"],
        ["all", "40/21", "!", "51/3"],
    ]


def test_columns_are_at_their_places_where_a_run_lacks_a_file(tmp_path: Path) -> None:
    place = tmp_path / "26.05.tsv"
    place.write_text("tests/lab/test_c.py\t1.0\t0.6\t1\t0\n")
    head, row, _ = table({"host": tmp_path / "host.tsv", "26.05": place}, 9).splitlines()
    assert head.index("26.05") + len("26.05") == len(row) == row.index("1/1") + 3
