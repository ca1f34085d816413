"""The chains that are measured: each a program of its own that says how far it is.

`python -m bench.chains.<name> JOB`, with a `bench.chains.job.Job` as JSON; on its standard
output one line for each step: how many alerts are in Parquet files now, and when that was.
"""
