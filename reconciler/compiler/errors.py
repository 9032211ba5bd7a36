# SPDX-License-Identifier: Apache-2.0
"""Why a build fails.

Invalid
└── BuildFailed          the model, its data or its recipe is at fault
    ├── ModelUnreadable      the file is damaged, hostile or of an unknown type
    ├── ModelUnsigned        a file has no signature by a key that the gateway accepts (source_signatures.py)
    ├── OperatorUnsupported  packs lack an operator; names it, where it is, and what to use instead
    ├── RuntimeUnsupported   packages for MicroPython can't hold this kind of model
    ├── DoesNotFit           the model exceeds a limit of the pack format or of the device type
    ├── NoPlacement          no cuts let the stages of a pipeline fit their devices
    ├── BuildGateFailed      a figure missed its limit
    └── PackMalformed        the bytes are not a complete, valid pack
Unusable
└── ToolsMissing         this machine lacks a package that the build needs
"""

from __future__ import annotations

from reconciler.errors import Invalid, Unusable


class BuildFailed(Invalid):
    """The model, its data or its recipe is at fault, so building it again fails again."""

    reason = "BuildFailed"


class ModelUnreadable(BuildFailed):
    """The model's file is damaged, hostile, or of an unknown type."""

    reason = "ModelUnreadable"


class OperatorUnsupported(BuildFailed):
    """The model uses an operator, or a variant of one, that packs lack."""

    reason = "OperatorUnsupported"


class RuntimeUnsupported(BuildFailed):
    """The device type has a runtime that can't run this kind of model."""

    reason = "RuntimeUnsupported"


class DoesNotFit(BuildFailed):
    """The model exceeds a limit of the pack format or of the device type."""

    reason = "DoesNotFit"


class NoPlacement(BuildFailed):
    """A network can't be cut so that the stages of its pipeline fit their devices."""

    reason = "NoPlacement"


class BuildGateFailed(BuildFailed):
    """A figure of the build missed a limit of the model or of the device type."""

    reason = "BuildGateFailed"


class PackMalformed(BuildFailed):
    """The bytes are not a complete, valid pack."""

    reason = "PackMalformed"


class ToolsMissing(Unusable):
    """This machine lacks a package that the build needs."""

    reason = "BuildToolsMissing"
