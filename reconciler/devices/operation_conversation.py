# SPDX-License-Identifier: Apache-2.0
"""Conversations about operations: call a built-in of a device, ask for its request, reply to that.

Like all conversations they are pure (conversation.py). Nothing that the device sends is used before its tag is
verified.
"""

from __future__ import annotations

from reconciler.devices.conversation import (
    DEFAULT_RETRY,
    BuiltinRan,
    ConversationStep,
    Lost,
    OneQuestion,
    Rejected,
    ReplyHeard,
    Requested,
    RetryPolicy,
)
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.error_codes import DeviceErrorCode
from reconciler.devices.messages import Answer, TransferResult
from reconciler.devices.operation_messages import (
    POLL,
    BuiltinReturned,
    DeviceRequest,
    ReplyToRequest,
    call_builtin,
    is_genuine,
)
from reconciler.model import DeviceId


class BuiltinCall(OneQuestion):
    """Calls a built-in once, however often the call has to be sent; the function `POLL` asks for a request."""

    def __init__(
        self,
        device: DeviceId,
        session: DeviceSession,
        function: int,
        data: bytes = b"",
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        self._key = session.key
        self._seq = session.next_seq()
        self._function = function
        super().__init__(device, call_builtin(session.key, self._seq, function, data), retry)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Accept what the built-in returned."""
        del now_s
        match answer:
            case BuiltinReturned(seq=seq, code=code, data=data) if seq == self._seq and is_genuine(self._key, answer):
                return self._end(BuiltinRan(code, data))
            case DeviceRequest() if self._function == POLL and is_genuine(self._key, answer):
                return self._end(Requested(answer))
            case TransferResult(transfer=None, code=DeviceErrorCode.SESSION) if self._silences:
                return self._end(Lost("it restarted during the call"))  # an earlier copy may have run
            case TransferResult(transfer=None, code=DeviceErrorCode.SESSION):
                return self._end(Rejected(DeviceErrorCode.SESSION, "calling a built-in"))
            case _:
                return None


class RequestReply(OneQuestion):
    """Sends the reply to a request of a device until the device has heard it."""

    def __init__(self, device: DeviceId, reply: ReplyToRequest, retry: RetryPolicy = DEFAULT_RETRY) -> None:
        super().__init__(device, reply, retry)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Accept the device's acknowledgement, which anyone could make: a device that has not heard asks again."""
        del now_s
        match answer:
            case TransferResult(transfer=None, code=0):
                return self._end(ReplyHeard())
            case TransferResult(transfer=None, code=DeviceErrorCode.SESSION):
                return self._end(Rejected(DeviceErrorCode.SESSION, "replying to a request"))
            case _:
                return None
