# SPDX-License-Identifier: Apache-2.0
"""What a board gives the agent."""


class Port:
    """What a board gives the agent."""

    def __init__(self, reset: object, ticks_ms: object, *, was_fault: bool = False, trial_inferences: int = 1) -> None:
        self.reset = reset  # restarts the device
        self.ticks_ms = ticks_ms  # milliseconds since start
        self.was_fault = was_fault  # the watchdog or a fault ended the last run
        self.trial_inferences = trial_inferences  # how many inferences on real input a trial needs
        self.unix_s: object | None = None  # returns the seconds since 1970, where there is a clock
