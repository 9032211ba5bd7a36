#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds an OCI image of a gateway from Debian's packages and our own, without a registry or a container engine.
#     tools/image.sh PYTHON DEB OUTPUT-FOLDER      (root, a mirror, debootstrap)
# Writes tinyfleet_<version>_<architecture>.oci.tar, and the versions of Debian's packages in it. With LOCK=file, it fails if
# these versions are not the ones in the file.
set -euo pipefail
python=$1 deb=$(readlink -f "$2") output=$3
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" | head -n 1)
version=$(dpkg-deb --field "$deb" Version) architecture=$(dpkg-deb --field "$deb" Architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}

root=$(mktemp -d)
# All are unmounted by now unless a step was killed. Nothing may be removed while they are mounted.
cleanup() { umount --quiet "$root/proc" "$root/sys" 2>/dev/null || true; rm -rf --one-file-system "$root"; }
trap cleanup EXIT
chmod 755 "$root"  # it becomes / of the image
# What the package depends on; systemd itself stays out.
packages=ca-certificates,git,openssh-client,python3,systemd-standalone-sysusers,systemd-standalone-tmpfiles
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$root.log" 2>&1 \
  || { tail "$root.log" >&2; exit 1; }
rm -f "$root.log"
cp "$deb" "$root/tinyfleet.deb"
mount -t proc proc "$root/proc"  # the package's scripts need it
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" dpkg --install /tinyfleet.deb >/dev/null
umount "$root/proc"
rm "$root/tinyfleet.deb"

name=tinyfleet_${version}_$architecture
mkdir -p "$output"
chroot "$root" dpkg-query --show --showformat '${Package}=${Version}\n' | LC_ALL=C sort >"$output/$name.packages"
if [[ -n ${LOCK:-} && $(<"$LOCK") != "$(<"$output/$name.packages")" ]]; then
  grep --line-regexp --invert-match --file="$LOCK" "$output/$name.packages" >&2 || true
  echo "image: other versions than in $LOCK" >&2
  exit 1
fi

if grep --quiet " $root/" /proc/mounts; then echo "image: $root has mounts" >&2; exit 1; fi
# What a running gateway does not read, and what differs from one build to the next.
rm -rf --one-file-system "$root"/var/cache/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* "$root"/dev/* "$root"/proc/* "$root"/sys/*
find "$root/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$root"/usr/share/{man,info,locale,bash-completion,zsh,fish,lintian}/* "$root"/etc/machine-id "$root"/var/lib/dpkg/*-old
rm -rf "$root"/etc/{passwd,group,shadow,gshadow,subuid,subgid}- "$root"/etc/resolv.conf "$root"/etc/hostname
find "$root" -name __pycache__ -type d -prune -exec rm -rf {} +  # they hold times; the interpreter keeps them in memory
"$python" "$here/oci_layout.py" "$root" "$output/$name.oci.tar" "localhost/tinyfleet:$version"
