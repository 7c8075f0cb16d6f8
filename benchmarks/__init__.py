"""Speed and memory of ingestd, measured: `python -m benchmarks` runs the daemon under loadgen and prints one table.

Layout: `__main__` is the command; `scenarios` are the loads; `daemon`, `load`, `peers` start what is measured;
`procfs` and `machine` read what the kernel says; `stages`, `perf` and `anatomy` say where the time goes; `table`,
`chart` and `results` show it. `micro_*` time single parts without a daemon.
"""
