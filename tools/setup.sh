#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Creates the virtual environment and installs Debian packages, unless they exist.
set -euo pipefail
venv=$1
shift

missing=()
while read -r what package; do
  case $what in
    "" | "#"*) ;;
    /*) compgen -G "$what" >/dev/null || missing+=("$package") ;;
    *) command -v "$what" >/dev/null || [[ -x /usr/sbin/$what ]] || missing+=("$package") ;;
  esac
done <"$(dirname "$0")/../requirements/debian.txt"
python3 -c "import ensurepip" 2>/dev/null || missing+=(python3-venv)  # Debian ships venv without it
if ((${#missing[@]})); then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $(id -u) == 0 ]]; then as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n)
  else
    echo "setup: Debian packages are missing. Run this once, then try again:" >&2
    echo "  sudo apt-get update && sudo $install" >&2
    exit 1
  fi
  echo "setup: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $install >/dev/null
fi

[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
"$venv/bin/python" - <<'PY'
import sys
if sys.version_info < (3, 11):
    sys.exit("setup: Python 3.11 or newer is needed")
PY
arguments=()
for file in "$@"; do arguments+=(-r "$file"); done
echo "setup: installing the pinned Python packages (the first time takes some minutes)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${arguments[@]}"
standards=$(dirname "$0")/../requirements/standards.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$venv/standards" -r "$standards"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
