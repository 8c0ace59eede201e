"""Run a module as if the machine's clock were wrong: `skewed.py SECONDS MODULE [ARGUMENTS]`."""

import datetime as dt
import runpy
import sys
import time


def set_clock(ahead: float) -> None:
    """Move what Python says the time is; before anything else is imported."""
    real, moved = time.time, dt.timedelta(seconds=ahead)

    class Moved(dt.datetime):
        """A `datetime` whose now is another."""

        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + moved

    time.time = lambda: real() + ahead
    dt.datetime = Moved


if __name__ == "__main__":
    set_clock(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
