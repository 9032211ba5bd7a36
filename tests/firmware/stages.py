# SPDX-License-Identifier: Apache-2.0
"""A gateway that runs one stage on one device: opens a session and has inputs run."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.stages.cut_network import CutNetwork, StagePack
from reconciler.compiler.tflite.network_pack import DeviceLimits, build_network
from reconciler.devices.conversation import Outcome, SessionOpened, StageRan
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.stage_conversation import SessionOpeningConversation, StageRun
from reconciler.devices.stage_messages import FEED_TYPE, FeedStage, OpenSession
from reconciler.model import DeviceId
from signing.cose import SigningKey
from signing.session import SessionKey, SessionTerms, open_session
from tests.firmware.bench import Bench, Made
from tests.firmware.orders import digest
from tests.firmware.talk import Device, hold, report_of
from tests.pipeline.networks import branched

MODEL = branched()
NETWORK = CutNetwork(MODEL)
WHOLE = ReferenceInterpreter(build_network(MODEL).data)
HALF = 3  # behind the first convolution of the longer branch: two tensors cross the cut


def stage_pack(first: int, end: int) -> StagePack:
    return NETWORK.stage(first, end, DeviceLimits(arena_bytes=16384))


@dataclass
class Opened:
    """A session that was asked for, and how the device answered."""

    question: OpenSession
    session: DeviceSession
    key: SessionKey
    outcome: Outcome

    def feed(self, seq: int, offset: int, data: bytes) -> FeedStage:
        """Make a piece with the right tag."""
        return FeedStage(seq, offset, data, self.key.tag(FEED_TYPE, seq, offset, data))


def open_with(  # noqa: PLR0913 - what each refusal needs to differ in
    device: Device,
    bench: Bench,
    made: Made,
    pack: bytes,
    number: int = 1,
    *,
    signer: SigningKey | None = None,
    boots: int | None = None,
    ephemeral: X25519PrivateKey | None = None,
) -> Opened:
    """Ask a device to open a session."""
    since = report_of(device, made).boots if boots is None else boots
    terms = SessionTerms(made.target.device, since, number, digest(pack)[:16])
    opening, key = open_session(signer or bench.gateway, made.identity.public, terms, ephemeral)
    question = OpenSession(number, terms.digest16, opening.peer, opening.signature)
    session = DeviceSession(number, key)
    outcome = hold(SessionOpeningConversation(DeviceId(made.name), question, session), device)
    return Opened(question, session, key, outcome)


def opened(device: Device, bench: Bench, made: Made, pack: bytes, number: int = 1) -> Opened:
    """Open a session."""
    given = open_with(device, bench, made, pack, number)
    assert given.outcome == SessionOpened(), given.outcome
    return given


def run_stage(device: Device, made: Made, session: DeviceSession, inputs: list[bytes], output_bytes: int) -> bytes:
    """Have the device run its stage on one input."""
    outcome = hold(StageRun(DeviceId(made.name), session, inputs, [output_bytes]), device)
    assert isinstance(outcome, StageRan), outcome
    return outcome.outputs
