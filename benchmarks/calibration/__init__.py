"""Do the intervals cover, are null pairs left alone, are planted differences found?

Run: ``python -m benchmarks.calibration`` from the root of the repository; the results are
``docs/calibration.md`` and ``docs/calibration.csv``. What is finished is kept in
``build/calibration`` and not computed again.
"""
