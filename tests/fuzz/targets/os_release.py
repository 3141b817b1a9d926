"""os-release, of a node and of an image, and a Jetson's release file."""

from fuzz.place import place, write
from preflight.facts import os as facts_os
from preflight.facts.rootfs import Root
from preflight.submit.image.contents import _assignments

ERRORS = ()
TOKENS = (
    b"ID=", b"VERSION_ID=", b'"', b"'", b"\\", b"$", b"`", b"#", b"ID_LIKE=", b"CentOS Stream",
    b"R36 (release), REVISION: 4.3", b"\0",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Return real files."""
    return [
        b'NAME="Ubuntu"\nVERSION_ID="22.04"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n',
        b'ID="rhel"\nVERSION_ID="9.4"\nREDHAT_SUPPORT_PRODUCT_VERSION="9.4"\n',
        b"ID=arch\nVERSION_ID=TEMPLATE_VERSION_ID\n\0# R36 (release), REVISION: 4.3, GCID: 1\n",
    ]


def check(data: bytes) -> None:
    """Read the file beneath a root; what cannot be told says why."""
    where = place("os")
    (where / "etc").mkdir(exist_ok=True)
    release, _, tegra = data.partition(b"\0")
    write(where / "etc/os-release", release)
    write(where / "etc/nv_tegra_release", tegra)
    answer = facts_os.read(Root(str(where), live=False))
    assert answer.values or answer.unknown
    facts_os.values(_assignments(data.decode("utf-8", "replace")))
