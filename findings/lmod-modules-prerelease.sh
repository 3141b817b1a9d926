#!/bin/sh
# Lmod 8.6.19 and Environment Modules 5.2.0 (Debian bookworm) take different versions as the newest of the same tree.
#
# Guess: `module load NAME` without a version and without a default file loads the highest release, with either.
# Seen:  files                     Lmod loads     Modules loads
#        cuda/12.10, 12.10rc1      cuda/12.10     cuda/12.10rc1    (a release candidate is higher than its release)
#        gcc/10, gcc/10-rc1        gcc/10         gcc/10-rc1
#        tool/1.0, tool/main       tool/1.0       tool/main        (a word is higher than any number)
#        lib/1.0, lib/v2.0         lib/1.0        lib/v2.0         (with Lmod a number is higher than "v2.0")
# Both agree that 12.10 is higher than 12.4. The same script of a user gets other software on a cluster with the other tool.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
mkdir lmod.deb
(
    cd lmod.deb
    apt-get download -qq lmod=8.6.19-1 \
        lua5.3=5.3.6-2 \
        lua-filesystem=1.8.0-3 \
        lua-json=1.3.4-2 \
        lua-lpeg=1.0.2-2 \
        lua-posix=33.4.0-3+b1 \
        lua-term=0.07-1+b1 \
        tcl8.6=8.6.13+dfsg-2 \
        libtcl8.6=8.6.13+dfsg-2 2>apt.log || { cat apt.log >&2; exit 1; }
)
for deb in lmod.deb/*.deb; do dpkg-deb -x "$deb" lmod; done
mkdir envmod.deb
(
    cd envmod.deb
    apt-get download -qq environment-modules=5.2.0-1 \
        tcl8.6=8.6.13+dfsg-2 \
        libtcl8.6=8.6.13+dfsg-2 2>apt.log || { cat apt.log >&2; exit 1; }
)
for deb in envmod.deb/*.deb; do dpkg-deb -x "$deb" envmod; done

# Debian's Lmod names the folders of its Lua modules in its first lines; a copy names the unpacked ones.
sed -e "s#/usr/share/lua#$work/lmod&#g" -e "s#/usr/lib/[a-z0-9_]*-linux-gnu/lua#$work/lmod&#g" \
    lmod/usr/share/lmod/8.6.19/libexec/lmod >lmod/usr/share/lmod/8.6.19/libexec/unpacked
alone() { env -i PATH="$PATH" HOME="$work" MODULEPATH="$work/tree" "$@"; }

# with_lmod NAME, with_modules NAME: the module that `module load NAME` loads, "none" if there is none
with_lmod() {
    alone LD_LIBRARY_PATH="$(echo lmod/usr/lib/*-linux-gnu)" TCL_LIBRARY="$work/lmod/usr/share/tcltk/tcl8.6" \
        lmod/usr/bin/lua5.3 lmod/usr/share/lmod/8.6.19/libexec/unpacked bash load "$1" 2>/dev/null >loaded || true
    sed -n 's/^GOT=\([^;]*\);.*/\1/p' loaded | grep . || echo none
}
with_modules() {
    alone LD_LIBRARY_PATH="$(echo envmod/usr/lib/*-linux-gnu)" TCL_LIBRARY="$work/envmod/usr/share/tcltk/tcl8.6" \
        envmod/usr/bin/tclsh8.6 envmod/usr/lib/*-linux-gnu/modulecmd.tcl bash load "$1" 2>/dev/null >loaded || true
    sed -n 's/^GOT=\([^;]*\);.*/\1/p' loaded | grep . || echo none
}
module_file() {
    mkdir -p "tree/$(dirname "$1")"
    printf '#%%Module\nsetenv GOT %s\n' "$1" >"tree/$1"
}

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

for file in cuda/12.4 cuda/12.10 cuda/12.10rc1 gcc/10 gcc/10-rc1 tool/1.0 tool/main lib/1.0 lib/v2.0 plain/12.4 plain/12.10; do
    module_file "$file"
done
expect "plain: Lmod" plain/12.10 "$(with_lmod plain)"
expect "plain: Modules" plain/12.10 "$(with_modules plain)"
expect "cuda: Lmod" cuda/12.10 "$(with_lmod cuda)"
expect "cuda: Modules" cuda/12.10rc1 "$(with_modules cuda)"
expect "gcc: Lmod" gcc/10 "$(with_lmod gcc)"
expect "gcc: Modules" gcc/10-rc1 "$(with_modules gcc)"
expect "tool: Lmod" tool/1.0 "$(with_lmod tool)"
expect "tool: Modules" tool/main "$(with_modules tool)"
expect "lib: Lmod" lib/1.0 "$(with_lmod lib)"
expect "lib: Modules" lib/v2.0 "$(with_modules lib)"
