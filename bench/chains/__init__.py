"""The chains that are measured: each is a program that reports its progress.

`python -m bench.chains.<name> CHAIN_RUN`, with a `bench.chains.chain_run.ChainRun` as JSON; on its
standard output it prints one line a step: how many alerts are in Parquet files, and since when.
"""
