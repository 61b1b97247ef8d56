"""Runs a module as a program with some guards taken away: `python -m tests.faults.launch MODULE`.

FAULTS_WITHOUT names them, separated by commas.
"""

import os
import runpy
import sys

from tests.faults.guards import REMOVALS


def main() -> None:
    """Take the guards away, then run the module as if it had been started itself."""
    for guard in filter(None, os.environ.get("FAULTS_WITHOUT", "").split(",")):
        REMOVALS[guard]()
    module = sys.argv[1]
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
