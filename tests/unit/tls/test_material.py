"""The files of TLS: what is wrong with them, in words, before anyone is refused a connection."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from scaler.errors import InvalidSettings
from scaler.tls.material import TlsFiles, read_material
from tests.support.authority import Authority, Pair

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("DNS:foresail.foresail.svc,IP:10.0.0.1")


def refusal(files: TlsFiles) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as caught:
        read_material(files)
    return caught.value.problems


def test_what_the_certificate_says(authority: Authority, pair: Pair) -> None:
    material = read_material(TlsFiles(cert=pair.cert, key=pair.key, client_ca=authority.cert))
    assert material.names == ("foresail.foresail.svc", "10.0.0.1")
    assert material.not_after - material.not_before == 30 * 86_400
    assert (material.cert, material.client_ca) == (pair.cert.read_bytes(), authority.cert.read_bytes())
    assert "PRIVATE KEY" not in repr(material)


def test_an_expired_certificate_can_be_read_and_told_as_such(authority: Authority) -> None:
    expired = authority.issue("DNS:x", days=-1)
    material = read_material(TlsFiles(cert=expired.cert, key=expired.key))
    assert material.not_after < material.not_before


def test_a_file_that_is_not_there(tmp_path: Path, pair: Pair) -> None:
    missing = tmp_path / "none"
    assert refusal(TlsFiles(cert=missing, key=pair.key, client_ca=missing)) == (
        f'tls_cert is "{missing}": the file cannot be read: No such file or directory',
        f'tls_client_ca is "{missing}": the file cannot be read: No such file or directory',
    )


def test_the_key_of_another_certificate(authority: Authority, pair: Pair) -> None:
    other = authority.issue("DNS:other")
    assert refusal(TlsFiles(cert=pair.cert, key=other.key)) == (
        f'tls_key is "{other.key}": it is the key of another certificate than that in tls_cert',
    )


def test_certificate_and_key_taken_for_each_other(pair: Pair) -> None:
    assert refusal(TlsFiles(cert=pair.key, key=pair.cert)) == (
        f'tls_cert is "{pair.key}": it holds no certificate in PEM, begun by -----BEGIN CERTIFICATE-----',
    )


def test_no_key_where_one_belongs(pair: Pair) -> None:
    (problem,) = refusal(TlsFiles(cert=pair.cert, key=pair.cert))
    assert problem == (
        f'tls_cert is "{pair.cert}" and tls_key "{pair.cert}": they must be a certificate and its unencrypted private '
        "key, both in PEM"
    )


def test_an_authority_that_is_cut_off(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    cut = tmp_path / "ca.crt"
    cut.write_text(authority.cert.read_text()[:200])
    assert refusal(TlsFiles(cert=pair.cert, key=pair.key, client_ca=cut)) == (
        f'tls_client_ca is "{cut}": a certificate in it cannot be read',
    )


@pytest.mark.parametrize("content", [b"", b"x" * (1024 * 1024 + 1)])
def test_a_file_of_a_size_that_no_certificate_has(tmp_path: Path, pair: Pair, content: bytes) -> None:
    path = tmp_path / "tls.crt"
    path.write_bytes(content)
    assert refusal(TlsFiles(cert=path, key=pair.key)) == (
        f'tls_cert is "{path}": the file must hold 1 to 1048576 bytes',
    )


def test_a_client_s_certificate_is_none_for_a_server(authority: Authority) -> None:
    wrong = authority.issue("DNS:x", usage="clientAuth")
    (problem,) = refusal(TlsFiles(cert=wrong.cert, key=wrong.key))
    assert problem.startswith(f'tls_cert is "{wrong.cert}": no client would take it: ')
    assert ssl.OPENSSL_VERSION_INFO < (3,) or "purpose" in problem
