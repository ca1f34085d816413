"""Measure how fast the archive is, beside a bare loop and the two archive pipelines of Fink.

`python -m bench --help` lists the options; `docs/benchmarks.md` says what is measured, and how.
"""
