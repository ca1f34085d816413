"""Outliers: features of alerts, models that score them with reasons, and the ranking of a night.

`finkray.outliers.model.OutlierModel` works on Arrow tables, without Ray and without an archive.
"""
