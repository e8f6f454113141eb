"""What pyproject.toml cannot say: ``Resources/`` is installed inside the package.

The folder stands beside the package in a checkout, where the Slicer module finds it too.
"""

from setuptools import find_namespace_packages, find_packages, setup

RESOURCES = "GDLACore.Resources"

setup(
    packages=[
        *find_packages(include=["GDLACore", "GDLACore.*"]),
        RESOURCES,
        *(f"{RESOURCES}.{folder}" for folder in find_namespace_packages("Resources")),
    ],
    package_dir={RESOURCES: "Resources"},
    package_data={RESOURCES: ["**/*"]},
)
