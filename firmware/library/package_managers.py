# SPDX-License-Identifier: Apache-2.0
"""`make library-check`: let package managers of SDKs read the manifests of the library.

compote packs the component of ESP-IDF, kconfgen reads its options, kconfiglib those of Zephyr, and PlatformIO its own
manifest and that of Arduino, without the licence, which it looks up on the network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from firmware.library.archives import write
from firmware.library.contents import FIRMWARE, version
from firmware.tools.fetch_third_party import fetch

TOOLS = FIRMWARE / "build" / "library-tools"
#: What Zephyr's own Kconfig has of the options that the module depends on or selects.
ZEPHYR_OPTIONS = ("FLASH_MAP", "FLASH_PAGE_LAYOUT", "REBOOT", "RING_BUFFER", "TASK_WDT")
READ_ZEPHYR = """
import sys, kconfiglib
options = kconfiglib.Kconfig(sys.argv[1])
options.load_config(sys.argv[2])
print(options.syms["TINYFLEET_INBOX_MESSAGES"].str_value, options.warnings)
"""
READ_PLATFORMIO = """
from platformio.package.manifest.parser import ManifestParserFactory
from platformio.package.manifest.schema import ManifestSchema
for name in ("library.json", "library.properties"):
    manifest = ManifestParserFactory.new_from_file(name).as_dict()
    manifest.pop("license", None)
    print(ManifestSchema().load_manifest(manifest)["version"])
"""


def main() -> None:
    """Print what each package manager has read; fail when one refuses."""
    third_party = FIRMWARE / "build" / "third_party"
    fetch(third_party)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        subprocess.run(["tar", "-xzf", write(work, third_party)[0], "-C", work], check=True)
        library = work / "tinyfleet"
        esp_idf_options(library, work)
        zephyr_options(library, work)
        expect(f"{version()}\n{version()}", "PlatformIO", _python(library, "-c", READ_PLATFORMIO))
        esp_idf_component(library, work)


def esp_idf_component(library: Path, work: Path) -> None:
    """Let compote pack the component."""
    _python(
        library, str(TOOLS / "bin" / "compote"), "component", "pack", "--name", "tinyfleet", "--dest-dir", str(work)
    )
    with tarfile.open(work / f"tinyfleet_{version()}.tgz") as packed:
        names = {name.removeprefix("./") for name in packed.getnames()}
    sources = [path for path in library.glob("src/**/*.c") if str(path.relative_to(library)) not in names]
    expect("[]", "compote", str([path.name for path in sources]))


def esp_idf_options(library: Path, work: Path) -> None:
    """Let ESP-IDF's tool generate the header of the options."""
    header, config = work / "sdkconfig.h", work / "sdkconfig"
    config.touch()
    _python(
        library, "-m", "kconfgen", *("--kconfig", "Kconfig", "--config", str(config), "--output", "header", str(header))
    )
    lines = [line for line in header.read_text().splitlines() if "TINYFLEET_INBOX_MESSAGES" in line]
    expect("#define CONFIG_TINYFLEET_INBOX_MESSAGES 4", "kconfgen", "\n".join(lines))


def zephyr_options(library: Path, work: Path) -> None:
    """Let Zephyr's library read the options of the module, with those that it depends on."""
    top, config = work / "Kconfig", work / "prj.conf"
    options = "".join(f"config {name}\n\tbool\n\tdefault y\n" for name in ZEPHYR_OPTIONS)
    top.write_text(f'{options}rsource "tinyfleet/zephyr/Kconfig"\n')
    config.write_text("CONFIG_TINYFLEET=y\n")
    expect("4 []", "kconfiglib", _python(library, "-c", READ_ZEPHYR, str(top), str(config)))


def expect(wanted: str, who: str, found: str) -> None:
    """Print that a package manager agrees, or fail."""
    if found.strip() != wanted:
        sys.exit(f"{who}: expected {wanted!r}, got {found!r}")
    print(f"{who}: agrees")


def _python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(TOOLS), "IDF_COMPONENT_CHECK_NEW_VERSION": "0"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
