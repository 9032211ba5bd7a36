# SPDX-License-Identifier: Apache-2.0
"""Measure the cross-compiled firmware and check it against ``budget.json``.

text   everything in ROM: code, constants, initial values. Without a suffix: the agent with the built-in engine only;
       text_full: with the engines for networks and trees, and with samples; stack_full: with everything;
       text_sampling, ram_sampling, text_learning, ram_learning, text_stage, ram_stage, text_recurrent, ram_recurrent,
       text_operations, ram_operations: what the parts add that keep samples, that learn, that run stages of pipelines,
       recurrent layers, and operations, which share their session with stages;
       text_network: all of a device that speaks MQTT over TLS; text_library: the library's example without an
       operating system, as its users build it
ram    data and bss, without the stack, the message buffer and the arena
stack  the deepest path from reset, plus an interrupt on top of it; stack_network: what is reserved, of which a test
       measures how much is used
heap   what TLS may allocate; the device has no other heap
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from firmware.tools.stack_graph import CallGraph, PointerTable, StackUnknownError

FIRMWARE = Path(__file__).resolve().parent.parent
NOT_OURS = frozenset({"transfer_buffer", "model_arena"})
NETWORK = FIRMWARE / "build" / "network" / "tinyfleet-network.elf"
LIBRARY = FIRMWARE / "build" / "library-example" / "vibration-alarm.elf"
ROM_SECTIONS = frozenset({".boot2", ".text", ".rodata", ".data"})
RAM_SECTIONS = frozenset({".data", ".bss", ".noinit"})
_SYMBOL = re.compile(r"^(?P<address>[0-9a-f]+) ((?P<size>[0-9a-f]+) )?\w (?P<name>\S+)$")


@dataclass(frozen=True)
class Target:
    """A cross build: the suffix of its figures, its tools, and what the hardware pushes on an interrupt."""

    short: str
    preset: str
    tools: str
    interrupts: tuple[str, ...]
    hardware_frame_bytes: int


TARGETS = (
    # an exception of a Cortex-M pushes eight words, and one more for alignment
    Target("m4", "mps2-an386", "arm-none-eabi-", ("uart_receive_handler", "timer_handler", "fault_handler"), 36),
    Target("m0", "nrf51-microbit", "arm-none-eabi-", ("uart_receive_handler", "timer_handler", "fault_handler"), 36),
    Target(
        *("l4", "stm32l4", "arm-none-eabi-"),
        ("uart_receive_handler", "timer_handler", "fault_handler", "nmi_handler"),
        36,
    ),
    Target("nrf52", "nrf52840", "arm-none-eabi-", ("uart_receive_handler", "timer_handler", "fault_handler"), 36),
    Target("rp2040", "rp2040", "arm-none-eabi-", ("uart_receive_handler", "timer_handler", "fault_handler"), 36),
    # its traps only reset it, from wherever they come
    Target("c3", "esp32c3", "riscv64-unknown-elf-", ("trap_handler",), 0),
    Target("rv32", "riscv32-virt", "riscv64-unknown-elf-", ("trap_handler",), 0),
)


@dataclass(frozen=True)
class Symbol:
    """A symbol of the linked firmware."""

    address: int
    size: int


def measure(target: Target) -> dict[str, int]:
    """Return the figures of one board: the agent alone, with everything, and what each part adds."""
    text, ram, stack = _measure(target, "agent-alone", "alone")
    images = (
        ("unsampled", ""),
        ("unlearned", "sampling"),
        ("unstaged", "learning"),
        ("feedforward", "stage"),
        ("uncalled", "recurrent"),
        ("tinyfleet", "operations"),
    )
    sizes = {name: _measure(target, name, "firmware" if name == "tinyfleet" else name) for name, _ in images}
    figures = {
        "text": text,
        "ram": ram,
        "stack": stack,
        "text_full": sizes["unlearned"][0],
        "stack_full": sizes["tinyfleet"][2],
    }
    for (smaller, _), (larger, part) in itertools.pairwise(images):
        figures[f"text_{part}"] = sizes[larger][0] - sizes[smaller][0]
        figures[f"ram_{part}"] = sizes[larger][1] - sizes[smaller][1]
    return {f"{name}_{target.short}": value for name, value in figures.items()}


def measure_network(target: Target) -> dict[str, int]:
    """Return the figures of the device that speaks MQTT over TLS itself."""
    sections, symbols = _sections(target, NETWORK), read_symbols(target.tools, NETWORK)
    heap, arena = symbols["tls_heap"].size, symbols["model_arena"].size
    return {
        "text_network_m4": sum(size for name, size in sections.items() if name in ROM_SECTIONS),
        "ram_network_m4": sum(size for name, size in sections.items() if name in RAM_SECTIONS) - heap - arena,
        "stack_network_m4": symbols["board_stack_end"].address - symbols["board_stack_begin"].address,
        "heap_network_m4": heap,
    }


def measure_library(target: Target) -> dict[str, int]:
    """Return the figures of the library in the example; its RAM is that of one device on a serial line."""
    sections, symbols = _sections(target, LIBRARY), read_symbols(target.tools, LIBRARY)
    return {
        "text_library_m4": sum(size for name, size in sections.items() if name in ROM_SECTIONS),
        "ram_library_m4": symbols["device"].size + symbols["line"].size,
    }


def _measure(target: Target, name: str, cmake_target: str) -> tuple[int, int, int]:
    build = FIRMWARE / "build" / target.preset
    elf = build / f"{name}.elf"
    sections = _sections(target, elf)
    symbols = read_symbols(target.tools, elf)
    table = PointerTable.read(FIRMWARE / "tools" / "stack_calls.json")
    # the call graph of the link step, and those of files compiled without LTO
    files = [*build.glob(f"{name}.elf*.ci"), *(build / "CMakeFiles" / f"{cmake_target}.dir").rglob("*.ci")]
    graph = CallGraph.read(files, table)
    graph.add_aliases({name: symbol.address for name, symbol in symbols.items()})
    text = sum(size for name, size in sections.items() if name in ROM_SECTIONS)
    ram = sum(size for name, size in sections.items() if name in RAM_SECTIONS)
    return text, ram - sum(symbols[name].size for name in NOT_OURS), _stack(target, name, graph)


def _sections(target: Target, elf: Path) -> dict[str, int]:
    lines = _run(f"{target.tools}size", "-A", str(elf))
    fields = [line.split() for line in lines if line.startswith(".")]
    return {name: int(size) for name, size, *_ in fields}


def read_symbols(tools: str, elf: Path) -> dict[str, Symbol]:
    """Return the symbols that the linker kept; ``tools`` is the prefix of the compiler's tools."""
    lines = _run(f"{tools}nm", "-S", "--defined-only", str(elf))
    return {
        found["name"]: Symbol(int(found["address"], 16), int(found["size"] or "0", 16))
        for line in lines
        if (found := _SYMBOL.match(line))
    }


def _stack(target: Target, name: str, graph: CallGraph) -> int:
    most, path = graph.deepest("bare_start")
    interrupt = max(graph.deepest(handler)[0] for handler in target.interrupts) + target.hardware_frame_bytes
    sys.stdout.write(f"# deepest stack of {name} on {target.preset}, plus {interrupt} for an interrupt:\n")
    for function in path:
        sys.stdout.write(f"#   {function.frame:5} {function.name}\n")
    return most + interrupt


def _run(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def main() -> None:
    """Print the figures, and fail when one exceeds its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=Path, default=FIRMWARE / "budget.json")
    budget: dict[str, int] = json.loads(parser.parse_args().budget.read_text())
    try:
        figures = {name: figure for target in TARGETS for name, figure in measure(target).items()}
        figures |= measure_network(TARGETS[0]) | measure_library(TARGETS[0])
    except StackUnknownError as unknown:
        sys.exit(f"size report: {unknown}")
    over = [
        f"{name} is {figures[name]}, above its budget of {most}"
        for name, most in budget.items()
        if figures[name] > most
    ]
    sys.stdout.write(" ".join(f"{name}={figure}" for name, figure in figures.items()) + "\n")
    if over:
        sys.exit("size report: " + "; ".join(over))


if __name__ == "__main__":
    main()
