import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "tls" / "certificates.sh"
Certify = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def certify(tmp_path_factory: pytest.TempPathFactory) -> Certify:
    """Certificates of an authority of their own, as the documented script makes them."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl: apt-get install openssl")

    def made(*days: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("certificates")
        subprocess.run([SCRIPT, folder, *days], check=True, capture_output=True)
        return {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}

    return made
