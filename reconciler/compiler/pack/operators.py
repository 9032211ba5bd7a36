# SPDX-License-Identifier: Apache-2.0
"""The operators of packs, as records of the section PLAN (docs/specs/pack.md section 6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

STATE = 14  # no operator: the engine keeps the tensors of the section STATE between inferences
TREE_ENSEMBLE = 16
THRESHOLD = 17
DENSE_PER_CHANNEL, DENSE_WIDE = 1, 2
LSTM_GATES = 4
LSTM_SCALES = 2 * LSTM_GATES + 1  # of the input and of the hidden state for each gate, and of the output
SAMPLES = 18  # no operator: the device keeps samples (docs/specs/samples.md)
LEARN = 19  # no operator either: the device grows forests (docs/specs/learning.md)
STAGE = 20  # no operator: the device runs stages of pipelines (docs/specs/stages.md)
CALLS = 22  # no operator: the gateway calls built-ins of the device (docs/specs/operations.md)


@dataclass(frozen=True, slots=True)
class Operator:
    """The fields that every record begins with."""

    input: int
    output: int
    low: int
    high: int

    NUMBER: ClassVar[int]
    NAME: ClassVar[str]
    LAYOUT: ClassVar[str]

    def inputs(self) -> tuple[int, ...]:
        """Return the tensors that the operator reads."""
        return (self.input, *self.kept())

    def kept(self) -> tuple[int, ...]:
        """Return the tensors, besides the output, that the operator writes: its state."""
        return ()


@dataclass(frozen=True, slots=True)
class Convolution(Operator):
    """The fields of both convolutions."""

    weights: int
    bias: int
    multipliers: int
    shifts: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int
    groups: int  # or the depth multiplier

    LAYOUT: ClassVar[str] = "4I8HHxx"


@dataclass(frozen=True, slots=True)
class Conv2D(Convolution):
    """An ordinary convolution."""

    NUMBER: ClassVar[int] = 0
    NAME: ClassVar[str] = "CONV_2D"


@dataclass(frozen=True, slots=True)
class WideConv2D(Conv2D):
    """An ordinary convolution in the wide form: interleaved filters, and scratch in the arena."""

    scratch: int

    LAYOUT: ClassVar[str] = "4I8HHxxI"


@dataclass(frozen=True, slots=True)
class DepthwiseConv2D(Convolution):
    """A convolution with its own filters for each channel."""

    NUMBER: ClassVar[int] = 1
    NAME: ClassVar[str] = "DEPTHWISE_CONV_2D"


@dataclass(frozen=True, slots=True)
class FullyConnected(Operator):
    """A matrix times a vector."""

    weights: int
    bias: int
    multipliers: int
    shifts: int
    flags: int

    NUMBER: ClassVar[int] = 2
    NAME: ClassVar[str] = "FULLY_CONNECTED"
    LAYOUT: ClassVar[str] = "4IB3x"

    @property
    def per_channel(self) -> bool:
        """Whether each output channel has a multiplier and a shift of its own."""
        return bool(self.flags & DENSE_PER_CHANNEL)

    @property
    def wide(self) -> bool:
        """Whether the weights are in the wide form."""
        return bool(self.flags & DENSE_WIDE)


@dataclass(frozen=True, slots=True)
class Pool(Operator):
    """The fields of both pools."""

    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int

    LAYOUT: ClassVar[str] = "6H"


@dataclass(frozen=True, slots=True)
class AveragePool(Pool):
    """The mean of each window."""

    NUMBER: ClassVar[int] = 3
    NAME: ClassVar[str] = "AVERAGE_POOL_2D"


@dataclass(frozen=True, slots=True)
class MaxPool(Pool):
    """The maximum of each window."""

    NUMBER: ClassVar[int] = 4
    NAME: ClassVar[str] = "MAX_POOL_2D"


@dataclass(frozen=True, slots=True)
class Mean(Operator):
    """The mean over axes."""

    multiplier: int
    shift: int
    axes: int

    NUMBER: ClassVar[int] = 5
    NAME: ClassVar[str] = "MEAN"
    LAYOUT: ClassVar[str] = "ibBxx"


@dataclass(frozen=True, slots=True)
class Add(Operator):
    """The sum of two tensors."""

    second: int
    multiplier_1: int
    multiplier_2: int
    multiplier_out: int
    shift_1: int
    shift_2: int
    shift_out: int

    NUMBER: ClassVar[int] = 6
    NAME: ClassVar[str] = "ADD"
    LAYOUT: ClassVar[str] = "Hxxiiibbbx"

    def inputs(self) -> tuple[int, ...]:
        """Return the tensors that the operator reads."""
        return (self.input, self.second)


@dataclass(frozen=True, slots=True)
class Mul(Operator):
    """The product of two tensors."""

    second: int
    shift: int
    multiplier: int

    NUMBER: ClassVar[int] = 7
    NAME: ClassVar[str] = "MUL"
    LAYOUT: ClassVar[str] = "Hbxi"

    def inputs(self) -> tuple[int, ...]:
        """Return the tensors that the operator reads."""
        return (self.input, self.second)


@dataclass(frozen=True, slots=True)
class Quantize(Operator):
    """A change of scale and zero point; with a clamp, RELU and its variants."""

    multiplier: int
    shift: int

    NUMBER: ClassVar[int] = 8
    NAME: ClassVar[str] = "QUANTIZE"
    LAYOUT: ClassVar[str] = "ib3x"


@dataclass(frozen=True, slots=True)
class Lookup(Operator):
    """Any function of one int8, as a table of 256 values."""

    table: int

    NUMBER: ClassVar[int] = 9
    NAME: ClassVar[str] = "LOOKUP"
    LAYOUT: ClassVar[str] = "I"


@dataclass(frozen=True, slots=True)
class Softmax(Operator):
    """Softmax over the last dimension."""

    multiplier: int
    shift: int
    diff_min: int

    NUMBER: ClassVar[int] = 10
    NAME: ClassVar[str] = "SOFTMAX"
    LAYOUT: ClassVar[str] = "ibxh"


@dataclass(frozen=True, slots=True)
class Pad(Operator):
    """A border of one value."""

    before_n: int
    before_h: int
    before_w: int
    before_c: int

    NUMBER: ClassVar[int] = 11
    NAME: ClassVar[str] = "PAD"
    LAYOUT: ClassVar[str] = "4H"


@dataclass(frozen=True, slots=True)
class StridedCopy(Operator):
    """The fields of operators that copy blocks which are adjacent on one side, and a stride apart on the other."""

    block: int
    stride: int
    start: int

    LAYOUT: ClassVar[str] = "3I"


@dataclass(frozen=True, slots=True)
class Concatenation(StridedCopy):
    """One input of a concatenation: copies adjacent blocks of the input to places a stride apart."""

    NUMBER: ClassVar[int] = 12
    NAME: ClassVar[str] = "CONCATENATION"


@dataclass(frozen=True, slots=True)
class Slice(StridedCopy):
    """A part of its input along one axis: copies blocks a stride apart to adjacent places."""

    NUMBER: ClassVar[int] = 13
    NAME: ClassVar[str] = "SLICE"


@dataclass(frozen=True, slots=True)
class WideDepthwiseConv2D(DepthwiseConv2D):
    """A depthwise convolution in the wide form: `band` rows of the output share a plane in the scratch."""

    band: int
    scratch: int

    LAYOUT: ClassVar[str] = "4I8HHHI"


@dataclass(frozen=True, slots=True)
class Svdf(Operator):
    """A dense layer that keeps its last results, and filters over time."""

    weights: int
    feature_bias: int
    time_weights: int
    bias: int
    multiplier: int
    multiplier_out: int
    shift: int
    shift_out: int
    memory: int
    rank: int
    memory_size: int

    NUMBER: ClassVar[int] = 15
    NAME: ClassVar[str] = "SVDF"
    LAYOUT: ClassVar[str] = "4Iiibb3H"

    def kept(self) -> tuple[int, ...]:
        """Return the tensors that the operator keeps."""
        return (self.memory,)

    def array_bytes(self, depth: int, units: int) -> dict[str, int]:
        """Return the sizes of its arrays in WEIGHTS, by the fields that say where they are."""
        filters = units * self.rank
        return {
            "weights": filters * depth,
            "feature_bias": 4 * filters,
            "time_weights": 2 * filters * self.memory_size,
            "bias": 4 * units,
        }


@dataclass(frozen=True, slots=True)
class SequenceLstm(Operator):
    """An LSTM over the steps of a sequence."""

    weights: int
    recurrent: int
    bias: int
    recurrent_bias: int
    multipliers: int
    shifts: int
    hidden: int
    cell: int
    clip: int
    cell_bits: int
    zero: int

    NUMBER: ClassVar[int] = 21
    NAME: ClassVar[str] = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    LAYOUT: ClassVar[str] = "6I3HBb"

    def kept(self) -> tuple[int, ...]:
        """Return the tensors that the operator keeps."""
        return (self.hidden, self.cell)

    def array_bytes(self, depth: int, units: int) -> dict[str, int]:
        """Return the sizes of its arrays in WEIGHTS, by the fields that say where they are."""
        biases = 4 * LSTM_GATES * units
        return {
            "weights": LSTM_GATES * units * depth,
            "recurrent": LSTM_GATES * units * units,
            "bias": biases,
            "recurrent_bias": biases,
            "multipliers": 4 * LSTM_SCALES,
            "shifts": LSTM_SCALES,
        }


_ALL: tuple[type[Operator], ...] = (
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    AveragePool,
    MaxPool,
    Mean,
    Add,
    Mul,
    Quantize,
    Lookup,
    Softmax,
    Pad,
    Concatenation,
    Slice,
    Svdf,
    SequenceLstm,
)
IN_PLACE = (Add, Mul, Quantize, Lookup)  # these may write onto their own input
OPERATORS: dict[int, type[Operator]] = {kind.NUMBER: kind for kind in _ALL}
WIDE_FORMS: dict[int, type[Operator]] = {kind.NUMBER: kind for kind in (WideConv2D, WideDepthwiseConv2D)}
WIDE = (WideConv2D, WideDepthwiseConv2D)
NAMES: dict[int, str] = {
    **{number: kind.NAME for number, kind in OPERATORS.items()},
    STATE: "STATE",
    TREE_ENSEMBLE: "TREE_ENSEMBLE",
    THRESHOLD: "THRESHOLD",
    SAMPLES: "SAMPLES",
    LEARN: "LEARN",
    STAGE: "STAGE",
    CALLS: "CALLS",
}


def is_wide(operator: Operator) -> bool:
    """Return whether an operator is in a wide form, which format 2 has added."""
    return isinstance(operator, WIDE) or (isinstance(operator, FullyConnected) and operator.wide)
