#!/bin/sh
# Lmod 8.6.19 and Environment Modules 5.2.0 (Debian bookworm): the same `module` line of a batch script leaves other modules loaded.
#
# Guess: either loads of a line what it finds, in the line's order, and swaps only what is loaded.
# Seen:  the line                      with Lmod                 with Modules
#        load cuda/12.4 missing        nothing                   cuda/12.4
#        load missing cuda/12.4        nothing                   cuda/12.4
#        load cuda/12.4 gcc/10 -cuda   cuda/12.4 and gcc/10      cuda/12.4 (-cuda is a variant of gcc/10, which has none)
#        switch cuda/12.4 cuda/12.10   nothing, it fails         cuda/12.10 (cuda/12.4 was not loaded)
#        load cuda/12.4/               cuda/12.4                 nothing
# One name that a cluster lacks takes all the others of its line away with Lmod, and only itself with Modules. What a line asks to
# unload, Lmod unloads before it loads the rest of the line, wherever it stands.
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

# with_lmod ARGUMENT..., with_modules ARGUMENT...: the modules that are loaded after that one command, "nothing" if none
with_lmod() {
    alone LD_LIBRARY_PATH="$(echo lmod/usr/lib/*-linux-gnu)" TCL_LIBRARY="$work/lmod/usr/share/tcltk/tcl8.6" \
        lmod/usr/bin/lua5.3 lmod/usr/share/lmod/8.6.19/libexec/unpacked bash "$@" 2>/dev/null >loaded || true
    names
}
with_modules() {
    alone LD_LIBRARY_PATH="$(echo envmod/usr/lib/*-linux-gnu)" TCL_LIBRARY="$work/envmod/usr/share/tcltk/tcl8.6" \
        envmod/usr/bin/tclsh8.6 envmod/usr/lib/*-linux-gnu/modulecmd.tcl bash "$@" 2>/dev/null >loaded || true
    names
}
names() { sed -n 's/^LOADEDMODULES=\([^;]*\);.*/\1/p' loaded | tr -d "'" | grep . || echo nothing; }

# expect WHAT EXPECTED SEEN
expect() {
    [ "$2" = "$3" ] && echo "as found: $1: $3" && return
    echo "changed: $1: expected '$2', saw '$3'" >&2
    exit 1
}

for file in cuda/12.4 cuda/12.10 gcc/10; do
    mkdir -p "tree/$(dirname "$file")"
    printf '#%%Module\nsetenv GOT %s\n' "$file" >"tree/$file"
done
expect "load cuda/12.4 missing: Lmod" nothing "$(with_lmod load cuda/12.4 missing)"
expect "load cuda/12.4 missing: Modules" cuda/12.4 "$(with_modules load cuda/12.4 missing)"
expect "load missing cuda/12.4: Lmod" nothing "$(with_lmod load missing cuda/12.4)"
expect "load missing cuda/12.4: Modules" cuda/12.4 "$(with_modules load missing cuda/12.4)"
expect "load cuda/12.4 gcc/10 -cuda: Lmod" cuda/12.4:gcc/10 "$(with_lmod load cuda/12.4 gcc/10 -cuda)"
expect "load cuda/12.4 gcc/10 -cuda: Modules" cuda/12.4 "$(with_modules load cuda/12.4 gcc/10 -cuda)"
expect "switch cuda/12.4 cuda/12.10: Lmod" nothing "$(with_lmod switch cuda/12.4 cuda/12.10)"
expect "switch cuda/12.4 cuda/12.10: Modules" cuda/12.10 "$(with_modules switch cuda/12.4 cuda/12.10)"
expect "load cuda/12.4/: Lmod" cuda/12.4 "$(with_lmod load cuda/12.4/)"
expect "load cuda/12.4/: Modules" nothing "$(with_modules load cuda/12.4/)"
