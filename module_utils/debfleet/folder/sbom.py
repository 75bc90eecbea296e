# SPDX-License-Identifier: GPL-3.0-or-later
"""sbom.cdx.json: the packages of an image as a CycloneDX bill of materials, by cyclonedx-python-lib."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import MissingError
from .packages import Package

if TYPE_CHECKING:  # the library is imported when an SBOM is written: a fleet node may lack it
    from cyclonedx.model.component import Component

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:debfleet:sbom")


UNKNOWN = "0" * 64  # in the place of a digest that is still being computed
UNNUMBERED = uuid.UUID(int=0)


def make(
    packages: Sequence[Package],
    *,
    name: str,
    release: str,
    architecture: str,
    file: str,
    digest: Callable[[], str],
    version: str,
    time_built: str,
) -> str:
    """The bill of materials of an image, as JSON of CycloneDX 1.6.

    :param file: the image's file.
    :param digest: gives its SHA-256; asked last, for it may still be computed.
    :param version: of debfleet.
    :param time_built: in UTC, as in metadata.json.
    :raises MissingError: where the library isn't installed.
    """
    try:
        from cyclonedx.model import HashAlgorithm, HashType, Property
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise MissingError("cyclonedx-python-lib is not installed", hint="make setup installs it") from error

    image = Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=name,
        version=release,
        bom_ref=f"image:{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=UNKNOWN)],
        properties=[
            Property(name="debfleet:file", value=file),
            Property(name="debfleet:architecture", value=architecture),
        ],
    )
    tool = Component(type=ComponentType.APPLICATION, name="debfleet", version=version, bom_ref="tool:debfleet")
    metadata = BomMetaData(component=image, timestamp=datetime.fromisoformat(time_built))
    metadata.tools.components.add(tool)
    bom = Bom(
        components=[_component(package, release) for package in packages],
        metadata=metadata,
        serial_number=UNNUMBERED,
    )
    bom.register_dependency(image, list(bom.components))
    text = str(JsonV1Dot6(bom).output_as_string(indent=1))
    known = digest()
    number = uuid.uuid5(NAMESPACE, f"{name}/{known}/{time_built}")
    return text.replace(UNKNOWN, known, 1).replace(UNNUMBERED.urn, number.urn, 1)


def purl(package: Package, release: str) -> str:
    """The package URL of a Debian package."""
    quoted = quote(package.version, safe="")
    return f"pkg:deb/debian/{quote(package.name)}@{quoted}?arch={package.architecture}&distro=debian-{release}"


def _component(package: Package, release: str) -> Component:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from cyclonedx.spdx import fixup_id
    from packageurl import PackageURL

    address = purl(package, release)
    references = []
    if package.homepage:
        references = [ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(package.homepage))]
    licences = [
        DisjunctiveLicense(id=known) if (known := fixup_id(word)) else DisjunctiveLicense(name=word)
        for word in package.licences
    ]
    return Component(
        type=ComponentType.LIBRARY if package.section.endswith("libs") else ComponentType.APPLICATION,
        name=package.name,
        version=package.version,
        bom_ref=address,
        purl=PackageURL.from_string(address),
        description=package.summary or None,
        licenses=licences,
        external_references=references,
        properties=[
            Property(name="debfleet:source", value=package.source),
            Property(name="debfleet:source_version", value=package.source_version),
            Property(name="debfleet:section", value=package.section),
        ],
    )
