# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from uuid import UUID

import pytest

from signing.identifiers import NAMESPACE, EngineContract, PackageContract, class_id, device_id, key_id, vendor_id

ENGINE = EngineContract(1, frozenset({"CONV_2D", "ADD"}))


def test_identifiers_are_pinned() -> None:
    """Devices store these at provisioning: a change here would orphan fleets."""
    assert str(NAMESPACE) == "b49a0ba1-a3c8-4a3f-8f6d-517437b4066a"
    vendor = vendor_id("plant")
    assert str(UUID(bytes=vendor)) == "03a6faef-a051-5257-bed6-e3a3af95f440"
    assert str(UUID(bytes=class_id(vendor, ENGINE))) == "29cc5b4e-2140-566a-9239-0899ceb10711"
    assert (
        str(UUID(bytes=class_id(vendor, PackageContract(frozenset({"TREE_ENSEMBLE"})))))
        == "7c9fea7a-b4df-55cb-8d5f-1c73bc9d11ff"
    )
    assert str(UUID(bytes=device_id(vendor, "pump-1"))) == "55806b2c-71c2-529e-8e78-50cfbb4148ff"
    assert key_id(bytes(32)).hex() == "66687aadf862bd77"


def test_the_order_of_operators_does_not_matter() -> None:
    vendor = vendor_id("plant")
    assert class_id(vendor, ENGINE) == class_id(vendor, EngineContract(1, frozenset({"ADD", "CONV_2D"})))


@pytest.mark.parametrize(
    "other",
    [
        EngineContract(2, ENGINE.operators),
        EngineContract(1, frozenset({"ADD"})),
        EngineContract(1, ENGINE.operators, protocol=2),
        PackageContract(ENGINE.operators),
    ],
)
def test_another_engine_has_another_class(other: EngineContract | PackageContract) -> None:
    vendor = vendor_id("plant")
    assert class_id(vendor, other) != class_id(vendor, ENGINE)


def test_a_device_id_can_not_collide_with_a_class_id() -> None:
    with pytest.raises(ValueError, match="can't contain '/'"):
        device_id(vendor_id("plant"), "engine/pack=1/protocol=1/operators=ADD")
