"""The command `preflight`, and what the hooks' scripts run. Python compiles this file at each start, so it is short."""

import sys


def main() -> int:
    """Run the command line in sys.argv and return its exit code."""
    try:
        from preflight.start import main as start
    except Exception as error:
        return broken(error)
    return start()


def broken(error: Exception) -> int:
    """Say in one line on stderr that Preflight cannot start; return the exit code, which stops no job."""
    try:
        why = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"preflight: cannot start: {why}: install it again, or give it memory\n")
    except (AttributeError, OSError, ValueError):
        return 1
    return 1


def _use_bundle(package: str) -> None:
    """Import from the one file of compiled modules where it fits; it begins with what does that (bundle.py)."""
    import _imp
    import marshal

    with open(f"{package}/modules.bundle", "rb") as file:
        python = f"{sys.implementation.cache_tag} {sys.hexversion:x} {sys.flags.optimize}"
        if file.readline(100) == f"preflight 5 {python}\n".encode():
            size, length = (int.from_bytes(file.read(8), "big") for _ in "12")
            made = file.read(8)
            if file.seek(0, 2) == size > length:  # not cut off
                file.seek(-length, 2)
                code = file.read(length)
                if _imp.source_hash(1, code) == made:  # not damaged
                    module = type(sys)("preflight.bundle")
                    exec(marshal.loads(code), module.__dict__)
                    module.use(package)


if __name__ == "__main__":
    # Run as a file (the scripts in prolog/ do, with -I -S), Python puts this directory first, not the one above.
    if __package__ in (None, ""):
        import os

        here = os.path.dirname(os.path.abspath(__file__))
        sys.path.insert(0, os.path.dirname(here))
        try:
            _use_bundle(here)
        except (OSError, ValueError, EOFError, TypeError, AttributeError):
            pass
        except Exception as error:
            sys.exit(broken(error))
    sys.exit(main())
