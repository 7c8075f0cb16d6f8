"""What can go wrong with a measurement, told apart from a slow one."""


class BenchmarkError(Exception):
    """Nothing was measured; the message says why and what to do."""


class UnavailableError(Exception):
    """This part cannot be measured here; the run goes on without it and says why."""
