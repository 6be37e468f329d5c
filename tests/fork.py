"""``python -m tests.fork MODULE:FUNCTION ARGUMENTS``: call the function with the list of arguments on two processes."""

import importlib
import sys

from accelerate import debug_launcher

if __name__ == "__main__":
    name, function = sys.argv[1].split(":")
    debug_launcher(getattr(importlib.import_module(name), function), (sys.argv[2:],), num_processes=2)
