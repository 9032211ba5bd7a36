# SPDX-License-Identifier: Apache-2.0
"""The package that runs: its model, its parameters, and how its code is kept from ending the agent."""

from tinyfleet import errors, package
from tinyfleet.errors import Refused
from tinyfleet.state import NONE

NOTHING, CONFIRMED, TRIAL, PREVIOUS, NO_SLOT, ASKED = range(6)  # the report's `why`


class Running:
    """What runs, where it is stored, and why it runs."""

    def __init__(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Run nothing."""
        self.place, self.why, self.digest = NONE, NOTHING, b""
        self._model: object | None = None
        self._config: package.Config | None = None
        self._values: list[int] = []

    def start(self, root: str, name: str, place: int, why: int, digest: bytes) -> None:
        """Load the package in a folder whose digest was found right: its code runs from here on."""
        self._config = package.Config(root + "/" + name)
        self._model = _guarded(lambda: package.load(root, name))
        self.place, self.why, self.digest = place, why, digest
        self._values = self._config.defaults()

    def is_loaded(self) -> bool:
        """Return whether a model can decide."""
        return self._model is not None

    def accepts(self, values: "list[tuple[int, int]]") -> bool:
        """Return whether the package has these parameters, and allows these values."""
        limits = self._config.limits if self._config else []
        return all([i < len(limits) and limits[i][1] <= value <= limits[i][2] for i, value in values])

    def configure(self, values: "list[tuple[int, int]]") -> None:
        """Set parameters; those that are not named get the defaults of the package."""
        self._values = self._config.defaults()
        if self.accepts(values):
            for index, value in values:
                self._values[index] = value

    def golden_count(self) -> int:
        """Return the number of golden vectors."""
        return len(self._config.golden)

    def check_golden(self, index: int) -> None:
        """Run a golden vector; raise Refused if the package gives anything else."""
        seed, decision, score = self._config.golden[index]
        window = package.golden_window(seed, self._config.elements)
        if _guarded(lambda: self._model.infer(window, self._config.defaults())) != (decision, score):
            raise Refused(errors.GOLDEN)

    def takes(self, window: "list[int]") -> bool:
        """Return whether a window has the number of samples that the model takes."""
        return len(window) == self._config.elements

    def infer(self, window: "list[int]") -> "tuple[int, int]":
        """Return the decision and the score of a window."""
        return _guarded(lambda: self._model.infer(window, self._values))


def _guarded(run: object) -> object:
    """Run code of a package: whatever it raises is its fault."""
    try:
        return run()
    except MemoryError:
        raise Refused(errors.ARENA) from None
    except Exception:  # noqa: BLE001 - the code of a package may raise anything
        raise Refused(errors.FAULT) from None
