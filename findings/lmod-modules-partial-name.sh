#!/bin/sh
# Lmod 8.6.19 and Environment Modules 5.2.0 (Debian bookworm) find different modules by the same incomplete name.
#
# Guess: what one of them finds by a name or by the beginning of a version, the other finds too.
# Seen:  files                     asked          Lmod loads       Modules loads
#        cuda/12.4                 cuda/12        cuda/12.4        cuda/12.4      (both part a version at ".")
#        gcc/13-x                  gcc/13         gcc/13-x         nothing        (Lmod parts it at "-", "_" and "+" as well)
#        py/3_11                   py/3           py/3_11          nothing
#        app/sub/1.0, app/sub/2.0  app            nothing          app/sub/2.0    (folders in folders: Modules goes down)
#        one (no version)          one/default    one              nothing
#        two/1.0                   two/default    two/1.0          two/1.0
#        two/1.0                   two/latest     nothing          two/1.0        (Modules' own word)
#        two/1.0                   two@1          nothing          two/1.0        (Modules' own way to ask for a version)
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

for file in cuda/12.4 gcc/13-x py/3_11 app/sub/1.0 app/sub/2.0 one two/1.0; do
    module_file "$file"
done
expect "cuda/12: Lmod" cuda/12.4 "$(with_lmod cuda/12)"
expect "cuda/12: Modules" cuda/12.4 "$(with_modules cuda/12)"
expect "gcc/13: Lmod" gcc/13-x "$(with_lmod gcc/13)"
expect "gcc/13: Modules" none "$(with_modules gcc/13)"
expect "py/3: Lmod" py/3_11 "$(with_lmod py/3)"
expect "py/3: Modules" none "$(with_modules py/3)"
expect "app: Lmod" none "$(with_lmod app)"
expect "app: Modules" app/sub/2.0 "$(with_modules app)"
expect "one/default: Lmod" one "$(with_lmod one/default)"
expect "one/default: Modules" none "$(with_modules one/default)"
expect "two/default: Lmod" two/1.0 "$(with_lmod two/default)"
expect "two/default: Modules" two/1.0 "$(with_modules two/default)"
expect "two/latest: Lmod" none "$(with_lmod two/latest)"
expect "two/latest: Modules" two/1.0 "$(with_modules two/latest)"
expect "two@1: Lmod" none "$(with_lmod two@1)"
expect "two@1: Modules" two/1.0 "$(with_modules two@1)"
