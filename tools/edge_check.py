"""Holds the archives for devices to what docs/edge.md promises.

    make edge-check [CHECK="--only signatures --cuts 20"]

Each bar is a line: its name, the figure, what is wanted, and whether it holds. Needs root, for a network
without routes, a limit on memory, and a bare Debian; real servers all around.
"""

import argparse
import sys

import edge_archive
import edge_mirror
import edge_served
from bars import Bars
from edge import EDGE

ARCHIVE = EDGE / "softcall-edge-linux-x64.tar.zst"
OTHER = EDGE / "softcall-edge-linux-aarch64.tar.zst"


def main() -> None:
    """Run all bars, or those that are named; status 1 when one falls short."""
    checks = {
        "archive": lambda options, bars: edge_archive.contents(ARCHIVE, bars),
        "served": lambda options, bars: edge_served.run(ARCHIVE, bars),
        "debian": lambda options, bars: edge_archive.bare_debian(ARCHIVE, bars),
        "aarch64": lambda options, bars: edge_archive.same_labels(ARCHIVE, OTHER, bars),
        "signatures": lambda options, bars: edge_mirror.signatures(bars),
        "flapping": lambda options, bars: edge_mirror.flapping(options.minutes * 60, options.seed, bars),
        "cuts": lambda options, bars: edge_mirror.power_cuts(options.cuts, options.seed, bars),
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=checks, default=list(checks))
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bars = Bars()
    for name in options.only:
        checks[name](options, bars)
    sys.exit(0 if bars.hold else 1)


if __name__ == "__main__":
    main()
