"""Fuzzing of everything that reads what others wrote: `make fuzz N=1000000 TARGET=hostlist`; docs/reliability.md.

A target is one module of ``fuzz.targets``; `target.py` says what it holds. The engine is libFuzzer by way of atheris,
guided by coverage, where its wheel can be had; else the mutator here over the same seeds. CI runs a small seeded sample
(tests/unit/test_fuzz.py), in which steps are counted instead of seconds.
"""
