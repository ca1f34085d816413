"""Measure the detection of outliers: `python -m bench.outliers`."""
