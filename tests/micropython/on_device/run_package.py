# SPDX-License-Identifier: Apache-2.0
"""Runs on MicroPython: unpacks a package, loads it, and runs windows from standard input, one a line in hexadecimal.

The first line of the answers is the name of the implementation, each further one a decision and a score.
"""

import sys
from array import array
from binascii import unhexlify

from tinyfleet import package


def main(root: str, path: str) -> None:
    folder = root + "/unpacked"
    with open(path, "rb") as file:
        package.unpack(file, folder)
    config = package.Config(folder)
    model = package.load(root, "unpacked")
    for seed, decision, score in config.golden:
        if model.infer(package.golden_window(seed, config.elements), config.defaults()) != (decision, score):
            raise ValueError("golden vector of seed %d" % seed)
    print(sys.implementation.name)
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        threshold, samples = line.split()
        print(*model.infer(array("h", unhexlify(samples)), [int(threshold)]))


main(sys.argv[1], sys.argv[2])
