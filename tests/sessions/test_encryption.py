import subprocess
from pathlib import Path
from typing import Any

import pytest

import insar_dask as insar
from insar_dask.sessions import Tls
from tests.sessions.conftest import SCRIPT, Certify


def refused(error: type[Exception], complaint: str, **options: Any) -> None:
    with pytest.raises(error, match=complaint), insar.session(**options):
        pass


def test_a_cluster_speaks_tls_alone_and_with_members_of_its_authority_alone(certify: Certify) -> None:
    ours, theirs = certify(), certify()
    with insar.session(workers=1, tls=ours) as client:
        address = client.scheduler.address
        assert address.startswith("tls://")
        assert all(worker.startswith("tls://") for worker in client.nthreads())
        with insar.session(address=address, tls=ours) as joined:
            assert joined.submit(sum, [1, 2]).result() == 3
        bare = address.removeprefix("tls://")
        with insar.session(address=bare, tls=ours) as joined:
            assert joined.scheduler.address == address
        refused(OSError, "did the same authority sign", address=address, tls=theirs, timeout="2s")
        refused(OSError, "does it speak tcp, not tls", address=bare, timeout="2s")
        refused(ValueError, "is encrypted: give tls", address=address)
    refused(ValueError, "is not encrypted, and tls is given", address=f"tcp://{bare}", tls=ours)


def test_threads_of_one_process_have_nothing_to_encrypt(certify: Certify) -> None:
    with pytest.raises(ValueError, match="speak over no network"), insar.session(threads=1, tls=certify()):
        pass


def test_files_are_judged_before_anything_is_opened(certify: Certify, tmp_path: Path) -> None:
    ours, theirs = certify(), certify()
    assert Tls(**ours).security().require_encryption
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    locked = tmp_path / "locked.pem"
    lock = ["openssl", "pkey", "-in", ours["key"], "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(lock, check=True, capture_output=True)
    for wrong, complaint in [
        ({"cert": str(tmp_path / "none.pem")}, "no file .*none.pem' for cert; deploy/tls/certificates.sh"),
        ({"key": theirs["key"]}, "is not the key of certificate"),
        ({"ca": theirs["ca"]}, "is not good under the authority .*: unable to get local issuer certificate"),
        ({"ca": str(rubbish)}, "rubbish.pem holds no PEM certificate"),
        ({"cert": str(rubbish)}, "are no PEM files"),
        ({"key": str(locked)}, "the key has a passphrase"),
    ]:
        with pytest.raises((ValueError, FileNotFoundError), match=complaint):
            Tls(**{**ours, **wrong}).security()


def test_a_certificate_that_has_run_out_is_told(certify: Certify, tmp_path: Path) -> None:
    ours = certify()
    folder = Path(ours["ca"]).parent
    old = tmp_path / "old.pem"
    request = ["openssl", "req", "-new", "-key", ours["key"], "-subj", "/CN=old", "-out", str(tmp_path / "request")]
    subprocess.run(request, check=True, capture_output=True)
    sign = ["openssl", "x509", "-req", "-days", "-1", "-in", str(tmp_path / "request"), "-out", str(old)]
    authority = ["-CA", ours["ca"], "-CAkey", str(folder / "ca-key.pem"), "-set_serial", "7"]
    subprocess.run([*sign, *authority], check=True, capture_output=True)
    with pytest.raises(ValueError, match="certificate has expired"):
        Tls(ca=ours["ca"], cert=str(old), key=ours["key"]).security()


def test_certificates_are_never_overwritten_and_keys_are_their_owners(certify: Certify) -> None:
    folder = Path(certify()["ca"]).parent
    again = subprocess.run([SCRIPT, folder], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert {path.name: path.stat().st_mode & 0o077 for path in folder.glob("*key.pem")} == {
        "ca-key.pem": 0,
        "key.pem": 0,
    }
