# SPDX-License-Identifier: Apache-2.0
"""Why a model does not become a pack.

Invalid
└── BuildFailed          the model, its data or its recipe is at fault
    ├── ModelUnreadable      the file is damaged, hostile or of an unknown kind
    ├── OperatorUnsupported  names the operator, its place, and what would do
    ├── DoesNotFit           a format limit, or more than the device has
    ├── BuildGateFailed           a figure missed its limit
    └── PackMalformed        bytes that are not a whole, valid pack
Unusable
└── ToolsMissing         this machine lacks what builds need
"""

from __future__ import annotations

from reconciler.errors import Invalid, Unusable


class BuildFailed(Invalid):
    """The model, its data or its recipe is at fault; building again changes nothing."""

    reason = "BuildFailed"


class ModelUnreadable(BuildFailed):
    """The model's file is damaged, hostile, or of a kind that is not taken."""

    reason = "ModelUnreadable"


class OperatorUnsupported(BuildFailed):
    """The model uses an operator, or a form of one, that packs don't have."""

    reason = "OperatorUnsupported"


class DoesNotFit(BuildFailed):
    """The model needs more than the format or the device has."""

    reason = "DoesNotFit"


class BuildGateFailed(BuildFailed):
    """A figure of the build missed the limit that the model sets."""

    reason = "BuildGateFailed"


class PackMalformed(BuildFailed):
    """Bytes that are not a whole, valid pack."""

    reason = "PackMalformed"


class ToolsMissing(Unusable):
    """This machine lacks what builds need."""

    reason = "BuildToolsMissing"
