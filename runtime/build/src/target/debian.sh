# Compiles the libraries of a target from Debian's packages: the source of the
# standard library, which must match the compiler, and the C library it needs.
#
#     bash debian.sh RELEASE TARGET RUSTC CARGO LIBRARIES
#
# Works in the current folder, and puts the libraries into the new folder
# LIBRARIES. Nothing is installed, and the machine's package lists stay
# unchanged: apt runs with its own source list, lists and cache here. The
# archive's address comes from the machine's own apt configuration, and the
# packages are verified with the machine's keyring. The lines on standard error
# that begin with `step: ` report progress.
set -euo pipefail
release=$1 target=$2 rustc=$3 cargo=$4 libraries=$5
export LC_ALL=C

apt_options=(
    -q -o "Dir::Etc::sourcelist=$PWD/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$PWD/lists" -o Dir::State::status=/dev/null
    -o "Dir::Cache=$PWD/cache" -o APT::Default-Release= -o Acquire::Languages=none
    # The user that apt would switch to for downloads can't enter the folder.
    -o APT::Sandbox::User=root
    # An unreachable address is an error, reported soon.
    -o APT::Update::Error-Mode=any -o Acquire::Retries=1
    -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20
)

step() { echo "step: $*" >&2; }
fail() { echo "error: $*" >&2 && exit 1; }

# Runs one of apt's programs, which downloads at most 50 MB. In the foreground,
# so that it is killed with this script.
apt() { timeout --foreground 300 "$1" "${@:2}" </dev/null; }

# Prints the archives and suites to search, the likely ones first: compilers are
# newer than stable releases, and backports are small to search. Unlike
# `apt-get indextargets`, `--print-uris` also works on a machine that has never
# fetched a package list. A suite for security updates never has everything.
candidates() {
    local archive suite own
    apt apt-get update --print-uris >uris
    sed -n "/security/!s|^'\(.*\)/dists/\(.*\)/InRelease'.*|\1 \2|p" uris >configured
    while read -r archive _; do
        own=$(awk -v archive="$archive" '$1 == archive { print $2 }' configured)
        for suite in stable-backports $(sed -n '/-/!s/$/-backports/p' <<<"$own") \
            testing unstable stable $own oldstable-backports experimental; do
            echo "$archive $suite"
        done
    done <configured | awk '!seen[$0]++'
}

# Prints the upstream version in one such as `1:1.95.0+dfsg1-2~bpo13+1`.
upstream() { sed 's/^[^:]*://; s/[+-].*//' <<<"$1"; }

# Sets `version` to that of rust-src in the first suite that has both packages.
find_version() {
    local key='' archive suite output listed looked_at='' have file
    for file in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
        [ ! -f "$file" ] || key="[signed-by=$file] "
    done
    mkdir -p lists/partial cache/archives/partial
    candidates >suites
    [ -s suites ] || fail 'apt knows no package archive'
    while read -r archive suite; do
        echo "$suite" >&2
        echo "deb $key$archive $suite main" >sources.list
        if ! output=$(apt apt-get update "${apt_options[@]}" 2>&1); then
            [[ $output == *'does not have a Release file'* ]] && continue
            fail "cannot fetch the package list of $suite: $output"
        fi
        listed=$(apt apt-cache madison rust-src wasi-libc "${apt_options[@]}" | tr -d ' ')
        have=''
        for version in $(sed -n 's/^rust-src|\([^|]*\).*/\1/p' <<<"$listed"); do
            [[ $listed == *'wasi-libc|'* && $(upstream "$version") == "$release" ]] && return
            have+="${have:+, }$(upstream "$version")"
        done
        looked_at+="${looked_at:+, }$suite (${have:-none})"
    done <suites
    fail "no suite has rust-src $release and wasi-libc; looked at $looked_at"
}

# Unpacks the files of a package that match a pattern. The rest stays packed: the
# whole of `rust-src` is about ten times as many files.
unpack() {
    dpkg-deb --fsys-tarfile "$1"_*.deb | tar --extract --directory root --wildcards "$2"
}

# Removes everything from the environment that would change how the library is
# compiled, and keeps the settings needed to download crates.
clean_environment() {
    local name
    for name in $(compgen -e); do
        case $name in
        CARGO_HOME* | CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTR* | CARGO_SOURCE_*) ;;
        CARGO* | RUSTC* | RUSTFLAGS) unset "$name" ;;
        esac
    done
    # Empty means no wrapper, and takes precedence over a configuration file.
    export RUSTC_WRAPPER='' RUSTC_WORKSPACE_WRAPPER=''
}

step "looking for the source of Rust $release in Debian's archive"
find_version
step "fetching rust-src $version and wasi-libc"
apt apt-get download "rust-src=$version" wasi-libc "${apt_options[@]}" >&2
step 'unpacking the packages'
mkdir root
unpack rust-src './usr/src/rustc-*/library'
unpack wasi-libc './usr/lib/wasm32-*'
for library in "$PWD"/root/usr/src/*/library; do [ -d "$library" ] && break; done
# Older packages use only the target's older name.
for libc in "$PWD"/root/usr/lib/{wasm32-wasip1,wasm32-wasi}; do [ -d "$libc" ] && break; done
[ -d "$library" ] && [ -d "$libc" ] || fail 'the packages do not hold what they did before'

# The library is a cargo workspace. Its member `sysroot` depends on everything
# that belongs in a sysroot, and building it needs no libraries of the target.
step "compiling the standard library $release for $target"
clean_environment
mkdir -p "$libraries/self-contained"
cd "$library"
# RUSTC_BOOTSTRAP lets a stable compiler build its own library, as its releases
# are built. Functions with link-time optimization need the bitcode. The crates
# below std must stay private to it.
RUSTC=$rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Cembed-bitcode=yes -Zforce-unstable-if-unmarked' \
    "$cargo" build --package=sysroot --features=backtrace --release --locked \
    --target "$target" --target-dir target
rm -f "target/$target/release/deps"/libsysroot-*.rlib
mv "target/$target/release/deps"/*.rlib "$libraries"
mv "$libc"/*.[oa] "$libraries/self-contained"
