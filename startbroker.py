#!/usr/bin/env python3
"""Start the broker: `python startbroker.py -c client_testing.conf`."""

import sys

from broker.command_line import main

if __name__ == "__main__":
    sys.exit(main())
