"""The chains that are measured: each is a program that reports its progress.

`python -m bench.chains.<name> JOB`, with a `bench.chains.job.Job` as JSON; on its standard
output it prints one line a step: how many alerts are in Parquet files, and since when.
"""
