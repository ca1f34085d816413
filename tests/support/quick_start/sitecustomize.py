"""Let Python collect garbage less often, in each process that a test starts.

Python imports this module at its start where `PYTHONPATH` names its folder, which tests/conftest.py
sees to. With Python's own thresholds a process collects 400 times while it imports its packages:
5 % of the CPU time of a start of Ray with a job (41.3 and 39.5 s, three of each in turn).
"""

import gc

gc.set_threshold(20_000, 10, 10)
