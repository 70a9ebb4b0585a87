"""Packages that signed metadata lists, for nodes that take no others."""

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import UntrustedMetadata, UntrustedPackage
from gnomon.runtime.trust import content
from gnomon.runtime.trust.updater import Updater


def check_listed(updater: Updater, package: hub_pb2.PackageRef) -> None:
    """Check that the metadata lists a package, if it says that only listed packages are taken.

    Raises:
        UntrustedPackage: it does not.
    """
    if not content.targets_statement(updater.targets).listed_packages_only:
        return
    path = content.package_target(package.name, package.version, package.format)
    try:
        target = updater.find_target(path, lambda _role, _version: None)
    except UntrustedMetadata as error:
        raise UntrustedPackage(f"{path}: {error}") from error
    if target is None or target.hashes.get("sha256") != package.digest:
        raise UntrustedPackage(
            f"the signed metadata lists no package {path} with digest {package.digest[:16]}"
        )
