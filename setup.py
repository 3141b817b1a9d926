"""Ship prolog/, client/, slurm_plugin/ and site-config/ inside the package, for `preflight install` from a wheel."""

import os
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

ASSETS = ("prolog", "client", "slurm_plugin", "site-config")


class BuildWithAssets(build_py):
    """Build the package, then copy the assets beside its modules."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for name in ASSETS:
            target = os.path.join(self.build_lib, "preflight", "assets", name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(
                name, target, ignore=shutil.ignore_patterns("*.o", "*.so", "preflight-client", "preflight-task")
            )


setup(cmdclass={"build_py": BuildWithAssets})
