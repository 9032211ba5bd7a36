# SPDX-License-Identifier: Apache-2.0
"""The real core in this process: through cffi, on a flash model that refuses to program what was not erased."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from cffi import FFI

DECLARATIONS: Final = """
struct tf_region { uint32_t offset, size, erase_size; };
struct tf_geometry {
    uint32_t erase_size, write_size;
    struct tf_region journal[2], provisioned, marks, scratch, slot[2], samples[2], rows, forest;
};
struct tf_verdict { int32_t decision, score; };
struct host_device;
struct host_device *host_device_new(uint32_t flash_bytes, const struct tf_geometry *geometry, uint32_t arena_bytes);
void host_device_free(struct host_device *device);
void host_device_layout(struct host_device *device, const struct tf_geometry *geometry);
uint8_t *host_device_flash(struct host_device *device);
void host_device_scan(struct host_device *device);
void host_device_stain(struct host_device *device, uint32_t offset, uint32_t length);
void host_device_wear(struct host_device *device, uint32_t offset, uint32_t length, int wear);
void host_device_fault_inferences(struct host_device *device, bool faults);
void host_device_lowest_scores(struct host_device *device);
uint64_t host_device_operations(const struct host_device *device);
uint64_t host_device_units_erased(const struct host_device *device);
uint32_t host_device_violations(const struct host_device *device);
uint32_t host_device_fed(const struct host_device *device);
uint32_t host_device_unfed_operations(const struct host_device *device);
uint32_t host_device_unfed_bytes(const struct host_device *device);
void host_device_set_time(struct host_device *device, uint32_t unix_s);
void host_device_trial_inferences(struct host_device *device, uint32_t count);
void host_device_sampling(struct host_device *device, uint32_t burst_tokens, uint32_t token_ms);
void host_device_leave_out_samples(struct host_device *device);
void host_device_leave_out_learning(struct host_device *device);
bool host_device_wants_reset(const struct host_device *device);
void host_device_fault(struct host_device *device);
int host_device_running(const struct host_device *device, uint8_t *digest);
int host_boot(struct host_device *device);
int host_handle(struct host_device *device, const uint8_t *message, size_t length, bool corrected, uint8_t *reply,
                size_t capacity);
int host_poll(struct host_device *device, uint32_t now_ms);
int host_report(struct host_device *device, uint8_t *reply, size_t capacity);
int host_infer(struct host_device *device, const uint8_t *input, size_t length, struct tf_verdict *verdict);
void host_input_missing(struct host_device *device);
int host_store(struct host_device *device);
int host_request(struct host_device *device, uint8_t *message, size_t capacity);
void host_replies(const struct host_device *device, int32_t *heard);
void host_cut_after(struct host_device *device, uint64_t n, int cut, uint32_t seed);
"""
REPLY_BYTES: Final = 2048
POWER_CUT: Final = -1000
POLL_WORK: Final = 1
POLLS_MAX: Final = 100_000


class PowerCutError(Exception):
    """The requested power cut has happened and the agent has lost its RAM. Boot it again."""


class AgentError(Exception):
    """The agent returned an error where none was expected."""


class Cut(IntEnum):
    """When power is cut: before, during or after a flash operation."""

    BEFORE = 0
    TORN = 1
    AFTER = 2


class Wear(IntEnum):
    """How worn flash fails: what is written reads differently, or an erase, a write or a read is refused."""

    LOSES_BITS = 0
    KEEPS_BITS = 1
    REFUSES = 2
    UNREADABLE = 3


@dataclass(frozen=True)
class Region:
    """A range of flash."""

    offset: int
    size: int


@dataclass(frozen=True)
class Geometry:
    """The layout of the agent's regions, from their sizes. The provisioned region is at 0, or after the journal."""

    erase: int = 4096
    write: int = 8
    provisioned: int = 0x20000
    journal: int = 0x2000
    marks: int = 0x9000
    slot: int = 0x20000
    anomalies: int = 0
    normals: int = 0
    rows: int = 0
    forest: int = 0
    journal_first: bool = False

    def regions(self) -> dict[str, Region]:
        """Return each region by name."""
        sizes = {
            "provisioned": self.provisioned,
            "journal0": self.journal,
            "journal1": self.journal,
            "marks": self.marks,
            "scratch": self.erase,
            "slot0": self.slot,
            "slot1": self.slot,
            "anomalies": self.anomalies,
            "normals": self.normals,
            "rows": self.rows,
            "forest": self.forest,
        }
        if self.journal_first:
            sizes = {name: sizes[name] for name in ("journal0", "journal1")} | sizes
        laid: dict[str, Region] = {}
        offset = 0
        for name, size in sizes.items():
            laid[name] = Region(offset, size)
            offset += size
        return laid

    @property
    def bytes(self) -> int:
        """The size of flash."""
        last = self.regions()["forest"]
        return last.offset + last.size


class HostLibrary:
    """The shared library."""

    def __init__(self, path: Path) -> None:
        self.ffi = FFI()
        self.ffi.cdef(DECLARATIONS)
        self.c: Any = self.ffi.dlopen(str(path))

    def geometry(self, geometry: Geometry) -> Any:  # noqa: ANN401 - a C struct
        """Convert a geometry for C."""
        r = {name: {"offset": part.offset, "size": part.size} for name, part in geometry.regions().items()}
        return self.ffi.new(
            "struct tf_geometry *",
            {
                "erase_size": geometry.erase,
                "write_size": geometry.write,
                "journal": [r["journal0"], r["journal1"]],
                "provisioned": r["provisioned"],
                "marks": r["marks"],
                "scratch": r["scratch"],
                "slot": [r["slot0"], r["slot1"]],
                "samples": [r["anomalies"], r["normals"]],
                "rows": r["rows"],
                "forest": r["forest"],
            },
        )


class HostAgent:
    """One device. It boots when it is made, restarts when it requests that, and works after each message."""

    def __init__(
        self, library: HostLibrary, region: bytes, *, geometry: Geometry | None = None, arena_bytes: int = 16384
    ) -> None:
        self.geometry = geometry or Geometry()
        self._ffi, self._c = library.ffi, library.c
        self._device = self._c.host_device_new(self.geometry.bytes, library.geometry(self.geometry), arena_bytes)
        assert self._device != self._ffi.NULL, "no memory"
        self._reply = self._ffi.new("uint8_t[]", REPLY_BYTES)
        self.now_ms = 0
        self.write_flash(self.geometry.regions()["provisioned"].offset, region)
        self.boot()

    def close(self) -> None:
        """Free its memory."""
        self._c.host_device_free(self._device)

    def _check(self, result: int) -> int:
        if result == POWER_CUT:
            raise PowerCutError
        if result < 0:
            raise AgentError(result)
        return result

    def boot(self) -> None:
        """Boot, as after power-on."""
        self._check(self._c.host_boot(self._device))

    def write_flash(self, offset: int, data: bytes) -> None:
        """Change flash from outside, as a programmer on the bench would."""
        flash = self._ffi.buffer(self._c.host_device_flash(self._device), self.geometry.bytes)
        flash[offset : offset + len(data)] = data
        self._c.host_device_scan(self._device)

    def stain_flash(self, offset: int, length: int) -> None:
        """Leave flash as after some torn writes: it reads FF, but refuses writes until it is erased."""
        self._c.host_device_stain(self._device, offset, length)

    def wear_flash(self, offset: int, length: int, wear: Wear) -> None:
        """Leave flash worn out in a range, or nowhere if it has no bytes."""
        self._c.host_device_wear(self._device, offset, length, wear)

    def fault_inferences(self, *, faults: bool = True) -> None:
        """From the next boot on, let each inference fault, or no longer."""
        self._c.host_device_fault_inferences(self._device, faults)

    def lowest_scores(self) -> None:
        """From the next boot on, let each inference give the lowest score of an int32."""
        self._c.host_device_lowest_scores(self._device)

    def leave_out_samples(self) -> None:
        """From the next boot on, be a port without the part that keeps samples."""
        self._c.host_device_leave_out_samples(self._device)

    def leave_out_learning(self) -> None:
        """Keep samples and do not learn from the next boot on, as a port without that part."""
        self._c.host_device_leave_out_learning(self._device)

    def read_flash(self, offset: int, length: int) -> bytes:
        """Read flash from outside."""
        flash = self._ffi.buffer(self._c.host_device_flash(self._device), self.geometry.bytes)
        return bytes(flash[offset : offset + length])

    def handle(self, message: bytes, *, corrected: bool = False) -> bytes:
        """Pass one message and return the answer, empty for none. `settle` does a requested restart."""
        length = self._c.host_handle(self._device, message, len(message), corrected, self._reply, REPLY_BYTES)
        return bytes(self._ffi.buffer(self._reply, self._check(length)))

    def handle_within(self, message: bytes, capacity: int) -> bytes:
        """Pass one message and return the answer, for which there is limited room."""
        length = self._c.host_handle(self._device, message, len(message), False, self._reply, capacity)  # noqa: FBT003 - C
        return bytes(self._ffi.buffer(self._reply, self._check(length)))

    def report(self) -> bytes:
        """Let it send an unsolicited report."""
        length = self._check(self._c.host_report(self._device, self._reply, REPLY_BYTES))
        return bytes(self._ffi.buffer(self._reply, length))

    def poll(self) -> int:
        """Let it work for one slice."""
        return self._check(self._c.host_poll(self._device, self.now_ms))

    def poll_bits(self, now_ms: int) -> int:
        """Let the agent work at this time of its clock; return what it wants next."""
        return self._check(self._c.host_poll(self._device, now_ms))

    def store(self) -> int:
        """Read the sensor, and ask for operation 1 with it; 0, or an error."""
        return int(self._c.host_store(self._device))

    def request(self) -> bytes:
        """Return the request that waits, as a message."""
        length = self._check(self._c.host_request(self._device, self._reply, REPLY_BYTES))
        return bytes(self._ffi.buffer(self._reply, length))

    def replies(self) -> tuple[int, int, int]:
        """Return how many requests a node has taken, how many final replies came, and the code of the last reply."""
        heard = self._ffi.new("int32_t[3]")
        self._c.host_replies(self._device, heard)
        return int(heard[0]), int(heard[1]), int(heard[2])

    def settle(self) -> None:
        """Let it work, and restart it on request, until nothing is left to do."""
        for _ in range(POLLS_MAX):
            if self._c.host_device_wants_reset(self._device):
                self.boot()
            if not self.poll() & POLL_WORK and not self._c.host_device_wants_reset(self._device):
                return
        raise AssertionError("the agent never finishes its work")

    def infer(self, data: bytes) -> tuple[int, int]:
        """Run the model: decision and score."""
        verdict: Any = self._ffi.new("struct tf_verdict *")
        self._check(self._c.host_infer(self._device, data, len(data), verdict))
        return verdict.decision, verdict.score

    def input_missing(self) -> None:
        """Let the sensor give no input."""
        self._c.host_input_missing(self._device)

    def running(self) -> bytes | None:
        """SHA-256 of what runs."""
        digest = self._ffi.new("uint8_t[32]")
        return bytes(digest) if self._c.host_device_running(self._device, digest) else None

    def cut_after(self, operations: int, cut: Cut, seed: int = 1) -> None:
        """Request a power cut at the n-th operation from now; 0 cancels it."""
        self._c.host_cut_after(self._device, operations, cut, seed)

    def fault_next_boot(self) -> None:
        """Make the next boot see that a fault ended the last run."""
        self._c.host_device_fault(self._device)

    @property
    def wants_reset(self) -> bool:
        """The agent has requested a restart, which `settle` would do."""
        return bool(self._c.host_device_wants_reset(self._device))

    def set_time(self, unix_s: int) -> None:
        """Set the time of day; 0: unknown."""
        self._c.host_device_set_time(self._device, unix_s)

    def set_trial_inferences(self, count: int) -> None:
        """Set how many inferences a trial needs besides the golden vectors."""
        self._c.host_device_trial_inferences(self._device, count)

    def set_sampling(self, burst_tokens: int, token_ms: int) -> None:
        """Set the bounds of the sample logs; they hold from the next boot."""
        self._c.host_device_sampling(self._device, burst_tokens, token_ms)

    @property
    def operations(self) -> int:
        """Programs and erases so far."""
        return int(self._c.host_device_operations(self._device))

    @property
    def units_erased(self) -> int:
        """Erase units erased so far."""
        return int(self._c.host_device_units_erased(self._device))

    @property
    def violations(self) -> int:
        """How often the flash had to refuse."""
        return int(self._c.host_device_violations(self._device))

    @property
    def fed(self) -> int:
        """How often it fed the watchdog."""
        return int(self._c.host_device_fed(self._device))

    @property
    def unfed(self) -> tuple[int, int]:
        """The most flash operations, and bytes read, that it ever did without feeding the watchdog."""
        operations = self._c.host_device_unfed_operations(self._device)
        return int(operations), int(self._c.host_device_unfed_bytes(self._device))

    # ------------------------------------------------ as a Device of talk.py
    def say(self, message: bytes) -> None:
        """Send a message that is not answered."""
        assert self.handle(message) == b""
        self.settle()

    def ask(self, message: bytes) -> bytes | None:
        """Send a question and return the answer."""
        answer = self.handle(message)
        self.settle()
        return answer or None

    def hear(self) -> bytes | None:
        """Return nothing: this device only answers."""
        return None

    def let_pass(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ms += int(seconds * 1000)
        self.settle()
