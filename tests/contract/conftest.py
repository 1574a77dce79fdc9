"""What the contract tests share: servers that start once a session, a region's store of each kind, empty, a house
of each transport, and a certificate."""

import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gameedge.state.base import RegionStore
from tests.contract.sockets import NAMES, House
from tests.contract.stores import KINDS, empty, region_store, servers

__all__ = ["certificate", "house", "servers", "store"]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[RegionStore]:
    url = servers[request.param]
    empty(url)
    async with region_store(url) as opened:
        yield opened


@pytest.fixture(params=NAMES)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    house = await House(request.param).open()
    yield house
    await house.server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
