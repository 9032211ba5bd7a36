# SPDX-License-Identifier: Apache-2.0
"""Error numbers: those of firmware/include/tinyfleet/error.h that this agent can give."""

OK = 0
WORKING = 1

TOO_LONG = -1
TRUNCATED = -2
NOT_CANONICAL = -3
UNEXPECTED = -4
TRAILING = -5
OUT_OF_RANGE = -6
ALGORITHM = -7
DIGEST = -8
ROOT = -9
DELEGATION_SIGNATURE = -10
FLEET = -11
REVOKED = -12
NO_DELEGATION = -13
EXPIRED = -14
SIGNER = -15
SIGNATURE = -16
VENDOR = -17
CLASS = -18
DEVICE = -19
SEQUENCE = -20
SEQUENCE_JUMP = -21
SIZE = -22
MODEL = -23
IMAGE = -24

FLASH = -64
PROVISIONED = -66
MESSAGE = -70
NO_TRANSFER = -72
BLOCK_SIZE = -73
TOO_LARGE = -74
NO_UPDATES = -75
ENCODING = -76
BUSY = -77
NO_PAYLOAD = -78
STREAM = -81
PACK = -83
ARENA = -86
GOLDEN = -87
PARAMETER = -88
RESET = -90
FAULT = -91
INPUT = -92
NOTHING = -93


class Refused(Exception):
    """What was asked for is refused, with one of the numbers above."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
