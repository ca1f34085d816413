"""How fast the archive is, beside a bare loop and the two archive pipelines of Fink.

`python -m bench --help`; what is measured, and how, is told in `docs/benchmarks.md`.
"""
