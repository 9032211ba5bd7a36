# SPDX-License-Identifier: Apache-2.0
"""One figure for each thing: C, Python, schemas and specifications say the same of sizes, numbers and codes."""

from __future__ import annotations

import functools
import json
import re
from enum import IntEnum
from pathlib import Path

import pytest

from reconciler.compiler.pack import (
    decision_head,
    features_section,
    forest_head,
    golden_section,
    io_section,
    operators,
    pack_format,
    state_section,
    tunable_parameters_section,
    wide_forms,
)
from reconciler.compiler.payload import patch, payload_encodings
from reconciler.devices import flash_image, messages, reports, serial_frame
from reconciler.devices.error_codes import DeviceErrorCode
from reconciler.devices.messages import BLOCK_BYTES_MAX, ENVELOPE_BYTES_MAX, MESSAGE_BYTES, MESSAGE_OVERHEAD_BYTES
from reconciler.model import SHORT_DIGEST_BYTES, PayloadEncoding
from signing import cose, envelope, identifiers, report
from signing.verification_error import VerificationCode

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
DEFINE = re.compile(r"^#define (\w+) \(?(-?(?:0x)?[0-9a-fA-F]+)u?\)?\s*$", re.MULTILINE)
ENUM = re.compile(r"enum(?: (\w+))? \{([^}]*)\}")
BY_GATEWAYS_ALONE = {"AUTHENTICATION"}  # a verdict on reports, which no device verifies


@functools.cache
def source(name: str) -> str:
    return COMMENT.sub(" ", (FIRMWARE / name).read_text(encoding="utf-8"))


@functools.cache
def defines(name: str) -> dict[str, int]:
    return {found: int(value, 0) for found, value in DEFINE.findall(source(name))}


@functools.cache
def enum(name: str, tag: str) -> dict[str, int]:
    """An enum's members and numbers; those without a number count up, as in C."""
    (body,) = (body for found, body in ENUM.findall(source(name)) if found == tag)
    members: dict[str, int] = {}
    for member in filter(None, (part.strip() for part in body.split(","))):
        label, _, value = (part.strip() for part in member.partition("="))
        shift = re.fullmatch(r"1 << (\d+)", value)
        following = max(members.values(), default=-1) + 1
        members[label] = 1 << int(shift[1]) if shift else int(value, 0) if value else following
    return members


def numbers(kind: type[IntEnum]) -> dict[str, int]:
    return {member.name: int(member) for member in kind}


CONFIG, TYPES, ERRORS = "include/tinyfleet/config.h", "include/tinyfleet/types.h", "include/tinyfleet/error.h"

FIGURES = [
    (CONFIG, "TF_ENVELOPE_MAX", ENVELOPE_BYTES_MAX),
    (CONFIG, "TF_ENVELOPE_MAX", envelope.MAX_ENVELOPE_BYTES),
    (CONFIG, "TF_MESSAGE_MAX", MESSAGE_BYTES),
    (CONFIG, "TF_BLOCKS_MAX", messages.BLOCKS_MAX),
    (CONFIG, "TF_PARAMETERS_MAX", envelope.MAX_VALUES),
    (CONFIG, "TF_PREBAKED_MAX", reports.PREBAKED_MAX),
    (CONFIG, "TF_PREBAKED_MAX", flash_image.PREBAKED_MAX),
    (CONFIG, "TF_TYPE_MAX", reports.TEXT_BYTES_MAX),
    (CONFIG, "TF_WINDOW_BITS", payload_encodings.WINDOW_BITS),
    (CONFIG, "TF_LOOKAHEAD_BITS", payload_encodings.LOOKAHEAD_BITS),
    (TYPES, "TF_DIGEST_BYTES", 32),
    (TYPES, "TF_KEY_BYTES", cose.PUBLIC_KEY_BYTES),
    (TYPES, "TF_UUID_BYTES", identifiers.UUID_BYTES),
    (TYPES, "TF_KID_BYTES", identifiers.KEY_ID_BYTES),
    ("include/tinyfleet/engine.h", "TF_PARAMETER_TABLE_MAX", tunable_parameters_section.MAX_PARAMETERS),
    ("include/tinyfleet/state.h", "TF_HISTOGRAM_BINS", reports.HISTOGRAM_BINS),
    ("src/envelope/envelope.c", "TAG_ENVELOPE", envelope.ENVELOPE_TAG),
    ("src/envelope/envelope.c", "SEQUENCE_JUMP_MAX", envelope.MAX_SEQUENCE_JUMP),
    ("src/envelope/manifest.c", "INDEX_MAX", envelope.MAX_INDEX),
    ("src/envelope/manifest.c", "ALGORITHM_SHA256", cose.SHA_256),
    ("src/crypto/cose.c", "ALGORITHM_ED25519", cose.ED25519),
    ("src/crypto/cose.c", "TAG_SIGN1", cose.SIGN1_TAG),
    ("src/message.c", "TRANSFER_NAME_MAX", messages.TRANSFERS - 1),
    ("src/message.c", "NONCE_BYTES", messages.NONCE_BYTES),
    ("src/message.c", "NONCE_BYTES", report.NONCE_BYTES),
    ("src/update/transfer.c", "BLOCK_MULTIPLE", messages.BLOCK_BYTES_STEP),
    ("src/codec/frame.c", "CRC_BYTES", serial_frame.CRC_BYTES),
    ("include/tinyfleet/crc32.h", "TF_CRC32_POLYNOMIAL", serial_frame.POLYNOMIAL),
    ("src/store/identity.c", "MAGIC", int.from_bytes(flash_image.MAGIC, "little")),
    ("src/store/identity.c", "VERSION", flash_image.VERSION),
    ("src/store/identity.c", "HEADER_BYTES", flash_image.HEADER_BYTES),
    ("src/store/identity.c", "ADDRESS_MAX", flash_image.ADDRESS_MAX),
    ("src/report/body.c", "DIGEST16", SHORT_DIGEST_BYTES),
    ("src/report/body.c", "PACK_FORMAT", pack_format.FORMAT_VERSION),
    ("src/model/pack.c", "FORMAT", pack_format.FORMAT_VERSION),
    ("src/model/pack.c", "FORMAT_OLDEST", pack_format.OLDEST_FORMAT_VERSION),
    ("src/engine/network.c", "FORMAT_WITH_WIDE_FORMS", pack_format.WIDE_FORMAT_VERSION),
    ("src/engine/check_operators.c", "WIDE_SHIFT_LEAST", wide_forms.SHIFTS[0]),
    ("src/engine/check_operators.c", "WIDE_SHIFT_MOST", wide_forms.SHIFTS[1]),
    ("src/model/pack.c", "MAGIC", int.from_bytes(pack_format.MAGIC, "little")),
    ("src/model/pack.c", "ENCODING_MAX", max(tunable_parameters_section.ParameterEncoding)),
    ("src/payload/patch.c", "VERSION", patch.VERSION),
    ("src/model/threshold_engine.c", "OPERATOR", operators.THRESHOLD),
    ("src/model/threshold_engine.c", "GOLDEN_MAX", golden_section.MAX_GOLDEN_VECTORS),
    ("src/model/threshold_engine.c", "NO_TENSOR", io_section.NO_TENSOR),
    ("src/engine/io.c", "GOLDEN_MAX", golden_section.MAX_GOLDEN_VECTORS),
    ("src/engine/forest.c", "OPERATOR", operators.TREE_ENSEMBLE),
    ("src/engine/forest.c", "KIND", pack_format.PackKind.TREE_ENSEMBLE),
    ("src/engine/network.c", "KIND", pack_format.PackKind.NEURAL_NETWORK),
    ("src/engine/network.c", "NO_PARAMETER", decision_head.NO_PARAMETER),
    ("src/engine/plan.h", "TF_OPERATOR_COUNT", sum(number < operators.STATE for number in operators.OPERATORS)),
    ("src/engine/plan.h", "TF_OPERATOR_SLICE", operators.Slice.NUMBER),
    ("src/engine/plan.h", "TF_OPERATOR_STATE", operators.STATE),
    ("src/engine/plan.h", "TF_OPERATOR_SVDF", operators.Svdf.NUMBER),
    ("src/engine/plan.h", "TF_OPERATOR_LSTM", operators.SequenceLstm.NUMBER),
    ("src/engine/plan.h", "TF_LSTM_GATES", operators.LSTM_GATES),
    ("src/engine/plan.h", "TF_LSTM_SCALES", operators.LSTM_SCALES),
    ("src/engine/state.c", "STATES_MAX", state_section.MAX_STATES),
    ("src/engine/io.c", "STEPS_MAX", golden_section.MAX_STEPS),
]


@pytest.mark.parametrize(("file", "name", "figure"), FIGURES, ids=lambda part: str(part).rpartition("/")[2])
def test_a_figure_of_the_firmware_is_that_of_the_gateway(file: str, name: str, figure: int) -> None:
    assert defines(file)[name] == figure


def test_codes_of_refused_envelopes() -> None:
    codes = enum(ERRORS, "tf_error")
    reported = {name.removeprefix("TF_ERR_"): -code for name, code in codes.items() if -63 <= code < 0}
    assert reported == {
        v.name: v.value for v in VerificationCode if v is not VerificationCode.OK and v.name not in BY_GATEWAYS_ALONE
    }
    assert (codes["TF_OK"], codes["TF_WORKING"]) == (messages.DONE, messages.WORKING) == (VerificationCode.OK, 1)


def test_codes_that_a_gateway_knows() -> None:
    codes = enum(ERRORS, "tf_error")
    refusals = {name.removeprefix("TF_ERR_"): code for name, code in codes.items() if code < 0}
    assert refusals == {code.name: code.value for code in DeviceErrorCode}


def test_every_code_is_another_and_fits_where_it_is_kept() -> None:
    codes = list(enum(ERRORS, "tf_error").values())
    assert len(set(codes)) == len(codes)
    assert min(codes) >= -128  # an int8 in struct tf_state


def test_numbers_of_what_a_device_says() -> None:
    whats = {name.removeprefix("TF_BODY_"): number for name, number in enum("src/report/body.h", "tf_body").items()}
    assert whats == numbers(messages.ReportKind)
    phases = enum(TYPES, "tf_phase")
    assert [name.removeprefix("TF_PHASE_").lower() for name in phases] == [phase.value for phase in reports.PHASES]
    assert list(phases.values()) == list(range(len(reports.PHASES)))
    assert list(enum(TYPES, "tf_why").values()) == [why.value for why in reports.DecisionReason]
    assert list(enum(TYPES, "tf_flag").values()) == [flag.value for flag in reports.Flag]
    slots = enum(TYPES, "tf_slot_id")
    assert (slots["TF_SLOT_NONE"], slots["TF_SLOT_A"], slots["TF_SLOT_B"]) == (
        reports.ModelLocation.NOWHERE,
        reports.ModelLocation.SLOT_A,
        reports.ModelLocation.SLOT_B,
    )


def test_numbers_of_payloads_and_packs() -> None:
    encodings = {n.removeprefix("TF_ENCODING_"): v for n, v in enum(TYPES, "tf_encoding").items()}
    assert {**encodings, "RESERVED": PayloadEncoding.RESERVED} == numbers(PayloadEncoding)
    sections = enum("include/tinyfleet/pack.h", "tf_section_id")
    assert {name.removeprefix("TF_SECTION_"): v for name, v in sections.items()} == numbers(pack_format.SectionId)
    modes = enum("src/engine/trees.h", "tf_forest_mode")
    assert {name.removeprefix("TF_FOREST_"): v for name, v in modes.items()} == numbers(forest_head.ForestMode)
    assert enum("src/engine/network.c", "head_mode") == numbers(decision_head.DecisionMode)
    statistics = enum("src/engine/features.c", "statistic")
    assert statistics == {**numbers(features_section.Statistic), "STATISTICS": len(features_section.Statistic)}
    types = defines("src/model/threshold_engine.c")
    assert {name: types[name] for name in ("INT8", "INT16", "INT32")} == numbers(io_section.ElementType)


def test_operators_that_run_in_place() -> None:
    # the enum has no name, because it is defined where it is used
    in_place = enum("src/engine/check_plan.c", "")
    assert {name: operators.NAMES[number] for name, number in in_place.items()} == {name: name for name in in_place}


def test_a_message_has_room_for_the_largest_block_and_the_largest_envelope() -> None:
    config = defines(CONFIG)
    assert config["TF_MESSAGE_MAX"] >= MESSAGE_OVERHEAD_BYTES + config["TF_BLOCK_MAX"]
    assert config["TF_BLOCK_MAX"] <= BLOCK_BYTES_MAX
    assert config["TF_MESSAGE_MAX"] >= MESSAGE_OVERHEAD_BYTES + max(ENVELOPE_BYTES_MAX, report.MAX_REPORT_BYTES)
    assert messages.SIGNED_BYTES_MAX == report.MAX_REPORT_BYTES


def test_names_that_are_let_in_fit_a_device() -> None:
    config = defines(CONFIG)
    for kind, room in (("device-type", config["TF_TYPE_MAX"]), ("device", config["TF_NAME_MAX"]), ("fleet", 63)):
        schema = json.loads((ROOT / "schemas" / f"{kind}.json").read_text(encoding="utf-8"))
        name = {**schema["$defs"]["name"], **schema["properties"]["metadata"]["properties"]["name"]}
        assert name["maxLength"] == room, kind


LIMITS = [
    ("protocol.md", r"^\| envelope \| ([\d,]+) bytes", ENVELOPE_BYTES_MAX),
    ("protocol.md", r"^envelope = bstr \.size \(1\.\.(\d+)\)", ENVELOPE_BYTES_MAX),
    ("protocol.md", r"^\| signed object \| ([\d,]+) bytes", messages.SIGNED_BYTES_MAX),
    ("protocol.md", r"^signed  = \[12, bstr \.size \(1\.\.(\d+)\)\]", messages.SIGNED_BYTES_MAX),
    ("protocol.md", r"^\| message \| ([\d,]+) bytes", MESSAGE_BYTES),
    ("protocol.md", r"^\| block \| 16 … ([\d,]+) bytes", BLOCK_BYTES_MAX),
    ("protocol.md", r"^\| blocks of a transfer \| ([\d,]+)", messages.BLOCKS_MAX),
    ("protocol.md", r"^\| type name, firmware version \| (\d+) bytes", reports.TEXT_BYTES_MAX),
    ("protocol.md", r"^\| pre-baked models reported \| (\d+)", reports.PREBAKED_MAX),
    ("envelope.md", r"^\| whole envelope \| ([\d,]+) bytes", envelope.MAX_ENVELOPE_BYTES),
    ("envelope.md", r"^\| V1 \| length ≤ ([\d,]+)", envelope.MAX_ENVELOPE_BYTES),
    ("envelope.md", r"^\| 1 \| `TOO_LONG` \| longer than ([\d,]+) bytes", envelope.MAX_ENVELOPE_BYTES),
    ("envelope.md", r"^\| sequence jump \| ([\d,]+)", envelope.MAX_SEQUENCE_JUMP),
    ("envelope.md", r"`configure` without delegation, 8 parameters of full width \| ≤ (\d+)", 290),
    ("report.md", r"A report has at most ([\d,]+) bytes", report.MAX_REPORT_BYTES),
    ("report.md", r"^\| R1 \| at most ([\d,]+) bytes", report.MAX_REPORT_BYTES),
    ("flash.md", r"^\| 6 \| 2 \| length of this header with its CRC, (\d+)", flash_image.HEADER_BYTES),
]


@pytest.mark.parametrize(("page", "pattern", "figure"), LIMITS, ids=[f"{p} {f}" for p, _, f in LIMITS])
def test_a_limit_in_a_specification_is_the_one_that_is_kept(page: str, pattern: str, figure: int) -> None:
    text = (ROOT / "docs" / "specs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(pattern, text, re.MULTILINE)
    assert int(found.replace(",", "")) == figure


def test_the_table_of_errors_is_the_list_in_python() -> None:
    text = (ROOT / "docs" / "specs" / "envelope.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)
    assert {name: int(number) for number, name in table} == numbers(VerificationCode)


def test_what_reads_the_headers_reads_something() -> None:
    assert len(enum(ERRORS, "tf_error")) > 50
    assert defines("src/crypto/cose.c")["ALGORITHM_ED25519"] == -19
