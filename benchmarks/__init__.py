"""Figures of speed and size, as ratios against something measured in the same run. `python -m benchmarks [NAME…]` prints them.

They are for people who change the code: no test depends on them, because a busy machine gives any figure. README.md tells what each means.
"""
