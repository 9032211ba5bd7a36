# SPDX-License-Identifier: Apache-2.0
"""An isolation forest in flat arrays (docs/specs/package.md): the trees of model.json, walked in integers."""

import json
from array import array
from binascii import a2b_base64

from .features import features

_LEAF = 255
_DEPTH_UNIT = 2048


class FlatForest:
    """The trees, in pre-order: the left child of a split is the next node."""

    def __init__(self, content: dict) -> None:
        self._nodes = content["nodes"]
        self._feature = a2b_base64(content["feature"])
        self._value = array("H", a2b_base64(content["value"]))
        self._right = array("H", a2b_base64(content["right"]))
        self._table = array("h", a2b_base64(content["table"]))

    def infer(self, x: "array[int]", parameters: "list[int]") -> "tuple[int, int]":
        """Return the decision and the score of one window."""
        feature, value, right = self._feature, self._value, self._right
        y = features(x)
        total = root = 0
        for count in self._nodes:
            node, depth = root, 0
            while feature[node] != _LEAF:
                node += 1 if y[feature[node]] <= value[node] else right[node]
                depth += 1
            total += _DEPTH_UNIT * depth + self._table[value[node]]
            root += count
        return int(total < parameters[0]), total


def load(folder: str) -> FlatForest:
    """Load the model whose files are in a folder."""
    with open(folder + "/model.json") as file:
        return FlatForest(json.load(file))
