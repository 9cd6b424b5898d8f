"""Our editors beside the published code: core functions of fetched repositories and ours, on the same random numbers.

`python -m benchmarks.reference_checks --repositories DIR` prints a row for each check. Published code is read from DIR
when the checks run, and only executed; none of it is in this repository.
"""
