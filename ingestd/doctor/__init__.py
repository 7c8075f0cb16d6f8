"""`ingestd doctor`: what of this machine stands in the way of a configuration, and what to do about each.

One module per matter. Each check is a function that reads, changes nothing and answers findings; what it reads of the
machine it is given (`Machine`), so that tests show it others. `examine` joins them.
"""
