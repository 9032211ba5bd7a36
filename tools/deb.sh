#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds dist/tinyfleet_<version>_<architecture>.deb from the wheel in dist/: a virtual environment on Debian's python3 in
# /opt/tinyfleet. The same sources give the same bytes. Also writes the bill of materials of what is in it.
#     tools/deb.sh PIP WHEEL OUTPUT-FOLDER
set -euo pipefail
pip=$1 wheel=$2 output=$3
here=$(dirname "$(readlink -f "$0")")
root=$(dirname "$here")
python=/usr/bin/python3
[[ -x $python ]] || { echo "deb: $python is missing: install Debian's python3" >&2; exit 1; }
[[ -f $wheel ]] || { echo "deb: no wheel at $wheel: run make dist" >&2; exit 1; }
version=$(basename "$wheel" | cut -d- -f2)
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"  # it becomes / of the package
venv=$stage/opt/tinyfleet
shared=$stage/usr/share
documents=$shared/doc/tinyfleet
umask 022

$python -m venv --without-pip "$venv"
rm "$venv"/bin/[Aa]ctivate*
install=("$pip" --python "$venv/bin/python" --disable-pip-version-check install --quiet --no-deps --no-compile)
reports=$(mktemp -d)
trap 'rm -rf "$stage" "$reports"' EXIT
"${install[@]}" --report "$reports/requirements.json" -r "$root/requirements/base.txt"
"${install[@]}" --report "$reports/tinyfleet.json" --no-index --find-links "$(dirname "$wheel")" "tinyfleet==$version"
# Remove the build path from all files, and the hashes of the scripts that contained it.
grep -rIl "$stage" "$venv" | xargs -r sed -i "s|$stage||g"
find "$venv" -name RECORD -exec sed -i '/^\.\.\/.*bin\//s/,.*/,,/' {} +
find "$venv/lib" -path '*/numpy/*' -name tests -type d -prune -exec rm -rf {} +  # a third of numpy

# Compiled files contain the path of their folder, so postinst compiles them on the target.
find "$venv" -name __pycache__ -type d -prune -exec rm -rf {} +

mkdir -p "$stage"/{DEBIAN,usr/bin,lib/systemd/system,usr/lib/sysusers.d,usr/lib/tmpfiles.d,etc/tinyfleet} "$documents"
ln -s /opt/tinyfleet/bin/tinyfleet "$stage/usr/bin/tinyfleet"
cp "$root"/systemd/{tinyfleet.service,tinyfleet-pki.service,tinyfleet-pki.timer} "$stage/lib/systemd/system/"
cp "$root/systemd/tinyfleet.sysusers" "$stage/usr/lib/sysusers.d/tinyfleet.conf"
cp "$root/systemd/tinyfleet.tmpfiles" "$stage/usr/lib/tmpfiles.d/tinyfleet.conf"
"$venv/bin/python" -B -c 'from reconciler.daemon.service_installation import SAMPLE; print(SAMPLE, end="")' > "$stage/etc/tinyfleet/gateway.toml"
chmod 640 "$stage/etc/tinyfleet/gateway.toml"

# Move man pages and completion from the folders of a wheel to those of Debian.
mv "$venv/share/man" "$shared/"
mv "$venv/share/bash-completion" "$shared/"
mkdir -p "$shared/zsh/vendor-completions" "$shared/fish"
mv "$venv/share/zsh/site-functions/_tinyfleet" "$shared/zsh/vendor-completions/"
mv "$venv/share/fish/vendor_completions.d" "$shared/fish/"
rm -rf "$venv/share"
gzip -9n "$shared"/man/man1/*.1

cp "$here"/debian/{README.Debian,copyright} "$documents/"
cp "$root/requirements/build.txt" "$documents/requirements-build.txt"
site=$(echo "$venv"/lib/python3*/site-packages)
cp "$site/reconciler/constraints.txt" "$documents/"
"$(dirname "$pip")/python" "$here/sbom.py" "$site" "$reports"/{requirements,tinyfleet}.json > "$documents/tinyfleet.cdx.json"
gzip -9nc "$root/CHANGELOG.md" > "$documents/changelog.gz"

cp "$here"/debian/{postinst,prerm,postrm} "$stage/DEBIAN/"
chmod 755 "$stage"/DEBIAN/{postinst,prerm,postrm}
echo /etc/tinyfleet/gateway.toml > "$stage/DEBIAN/conffiles"
minor=$($python -c 'import sys; print(sys.version_info.minor)')
sed -e "s/@version@/$version/; s/@architecture@/$architecture/; s/@size@/$(du -sk --apparent-size "$stage" | cut -f1)/" \
  -e "s/@python@/3.$minor/; s/@python_next@/3.$((minor + 1))/" "$here/debian/control" > "$stage/DEBIAN/control"
(cd "$stage" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) > "$stage/DEBIAN/md5sums"

mkdir -p "$output"
cp "$documents/tinyfleet.cdx.json" "$output/tinyfleet_${version}_$architecture.cdx.json"
dpkg-deb --root-owner-group -Zzstd --build "$stage" "$output/tinyfleet_${version}_$architecture.deb"
