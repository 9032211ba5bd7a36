# SPDX-License-Identifier: Apache-2.0
"""One trial of a network: trains it, quantizes it to full int8, and evaluates its pack on the windows held out.

The pack reads the bytes of the windows as they are. So its input is quantized as that of the network whose windows they
are, and an application that feeds that one feeds this one. Runs only in the caged process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.engine_runner import ExecutionTarget, execute, runner_is_built
from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.io_section import Descriptor, ElementType, decode_io
from reconciler.compiler.pack.pack_format import OLDEST_FORMAT_VERSION, SectionId, disassemble
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.decided_network import build_decided_network, compare_with_oracle, int8_model
from reconciler.compiler.tflite.keras_training import NetworkFile, Schedule, train_keras
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.compiler.tflite.tensorflow_converter import quantize_keras
from reconciler.compiler.training.holdout import Holdout
from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.snapshot import Snapshot
from reconciler.model import THRESHOLD, Decide, Objective
from reconciler.training.objective import TrialScore, best_threshold
from reconciler.training.trials import NetworkSettings, Trial

Ints = npt.NDArray[np.int64]

# The limits that are tried, as for forests: scores of normal training windows, and some above the highest of them.
SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
ERROR_FACTORS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0)  # times the highest reconstruction error
HEADROOM = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # of the way from the highest output to the highest that int8 has
REPRESENTATIVE = 100  # windows from which the ranges of a network are taken
# Its packs run on every device: nobody knows yet which of them will get one.
_ANY_DEVICE = DeviceLimits(OLDEST_FORMAT_VERSION)
_DIGITS = 6
_SAME_SCALE = 1e-5
_INT8_LEAST, _INT8_MOST = -128, 127


class NetworkTrials:
    """Runs trials of networks on one snapshot."""

    def __init__(self, snapshot: Snapshot, objective: Objective, files: Mapping[str, bytes]) -> None:
        layout = snapshot.layout
        if layout.element_type != ElementType.INT8:
            raise BuildFailed(
                "the windows are int16, of a forest, and a network reads int8: "
                "train networks for a contest whose champion is a network"
            )
        self._layout = layout
        self._files = files
        self._holdout = Holdout(snapshot, objective)
        size = layout.window_bytes
        self._windows = [snapshot.windows[at : at + size] for at in range(0, len(snapshot.windows), size)]
        self._real = (snapshot.window_table().astype(np.float64) - layout.zero_point) * layout.scale

    def run(self, trial: Trial) -> TrialOutcome:
        """Train and evaluate one model."""
        settings, trained = trial.made_of, self._holdout.trained
        if not isinstance(settings, NetworkSettings):
            raise TypeError("this trial trains a forest")
        network = train_keras(
            NetworkFile(settings.name, self._files[settings.sha256]),
            settings.decide,
            self._real[trained].astype(np.float32),
            self._holdout.anomalous[trained],
            Schedule(settings.epochs, settings.batch_size, settings.learning_rate, trial.seed),
        )
        fitted = _Quantized(quantize_keras(network, self._representative()).int8, settings.decide)
        draft = fitted.packed(None if settings.decide is Decide.ARGMAX else 0.0)
        self._check_input(draft)
        best = best_threshold(self._scores(draft, settings.decide))
        made = draft if best.threshold is None else fitted.packed(best.threshold)
        return TrialOutcome(trial, best, made, {"model_bytes": len(fitted.model), "parameters": network.count_params()})

    def _representative(self) -> npt.NDArray[np.float64]:
        """Return normal windows, and one with the least and the highest value that an element can have."""
        normal = self._real[self._holdout.normal]
        chosen = normal[np.linspace(0, len(normal) - 1, min(REPRESENTATIVE, len(normal))).astype(int)]
        extreme = chosen[0].copy()
        extreme[0], extreme[-1] = self._range()
        return np.vstack([chosen, extreme])

    def _range(self) -> tuple[float, float]:
        layout = self._layout
        return (_INT8_LEAST - layout.zero_point) * layout.scale, (_INT8_MOST - layout.zero_point) * layout.scale

    def _check_input(self, pack: bytes) -> None:
        sections = disassemble(pack).sections
        if SectionId.STATE in sections:
            raise BuildFailed(
                "the network has state, and windows of devices do not follow each other: train it elsewhere"
            )
        (source, *_), layout = decode_io(sections[SectionId.IO])[0], self._layout
        if source.zero_point != layout.zero_point or abs(source.scale / layout.scale - 1) > _SAME_SCALE:
            raise BuildFailed(
                f"TensorFlow quantizes the input by {source.scale:g} from {source.zero_point}, and the windows have "
                f"{layout.scale:g} from {layout.zero_point}: begin the network with a layer that takes all their values"
            )

    def _scores(self, pack: bytes, decide: Decide) -> list[TrialScore]:
        """Measure the model at each threshold. Its scores are the same whatever its threshold."""
        decisions, scores = _run(pack, self._windows)
        holdout = self._holdout
        if decide is Decide.ARGMAX:
            return [holdout.score(None, np.asarray(decisions != 0), len(pack))]
        output = decode_io(disassemble(pack).section(SectionId.IO))[1][0]
        found = []
        for level in levels_for(scores[holdout.normal], decide, above=holdout.has_anomalies):
            threshold = float(f"{_value_of(level, output, decide):.{_DIGITS}g}")
            limit = encode_values(pack, {THRESHOLD: threshold})[0]
            found.append(holdout.score(threshold, np.asarray(scores > limit), len(pack)))
        return found


@dataclass(frozen=True, slots=True)
class _Quantized:
    model: bytes  # a .tflite file in full int8
    decide: Decide

    def packed(self, threshold: float | None) -> bytes:
        """Return the pack, which is compared with the oracle."""
        parameters = {} if threshold is None else {THRESHOLD: threshold}
        network = build_decided_network(self.model, self.decide, parameters, _ANY_DEVICE)
        if network.input_orders[0] is not None:
            raise BuildFailed("the network transposes its input: give it an input with channels last")
        compare_with_oracle(network.data, int8_model(self.model, network).run)
        return network.data


def levels_for(normal: Ints, decide: Decide, *, above: bool) -> Sequence[int]:
    """Return the integer limits to try, from the scores of the normal windows that the network was trained on."""
    found = np.sort(normal)
    highest = int(found[-1])
    levels = [int(found[round(share * (len(found) - 1))]) for share in SHARES]
    if above and decide is Decide.RECONSTRUCTION:
        levels += [round(max(highest, 1) * factor) for factor in ERROR_FACTORS]
    elif above:
        levels += [round(highest + share * (_INT8_MOST - highest)) for share in HEADROOM]
    return sorted(set(levels))


def _value_of(level: int, output: Descriptor, decide: Decide) -> float:
    """Return a limit in the unit of a document (docs/specs/pack.md, section 3)."""
    if decide is Decide.RECONSTRUCTION:
        return level * output.scale**2 / output.elements
    return (level - output.zero_point) * output.scale


def _run(pack: bytes, windows: Sequence[bytes]) -> tuple[Ints, Ints]:
    """Return decisions and scores, by the device's own engine if it is built, else by the reference."""
    if runner_is_built(ExecutionTarget.HOST):
        inferences = execute(ExecutionTarget.HOST, pack, windows).inferences
        failed = next((each.error for each in inferences if each.error), 0)
        if failed or len(inferences) != len(windows):
            raise BuildFailed(f"the device's engine fails on the pack with error {failed}: a bug of the compiler")
        found = [(each.decision, each.score) for each in inferences]
    else:
        reference = ReferenceInterpreter(pack)
        results = [reference.run([window]) for window in windows]
        found = [(each.decision, each.score) for each in results]
    decisions, scores = np.array(found, np.int64).T
    return decisions, scores
