"""What reaches a server: credentials, certificates, headers; and what is refused before the first query."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from fake_prometheus import FakePrometheus, constant

from autoscaler.errors import UsageError
from autoscaler.sources import link_local
from autoscaler.sources.connection import Connection
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError

URL = "http://prometheus.monitoring:9090"


def ask(connection: Connection, **more: object) -> RangeAnswer | SourceError:
    source = PrometheusSource(connection, jitter_s=0.0)
    asked = RangeRequest("sum(up{})", 1.76e9, 1.76e9, 15, **more)
    found = source.fetch([asked])[asked]
    source.close()
    return found


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_token_is_read_anew_for_each_query(server: FakePrometheus, tmp_path: Path) -> None:
    token = written(tmp_path / "token", "first\n")
    source = PrometheusSource(Connection(url=server.url, token_file=token), jitter_s=0.0)
    asked = RangeRequest("sum(up{})", 1.76e9, 1.76e9, 15)
    source.fetch([asked])
    token.write_text("second")
    source.fetch([asked])
    assert [one.headers["Authorization"] for one in server.asked] == ["Bearer first", "Bearer second"]
    token.unlink()
    found = source.fetch([asked])[asked]
    assert isinstance(found, SourceError)
    assert found.failure is Failure.UNAUTHORIZED
    assert str(token) in str(found)
    assert len(server.asked) == 2
    source.close()


def test_basic_authentication_comes_from_a_file_or_from_the_address(server: FakePrometheus, tmp_path: Path) -> None:
    password = written(tmp_path / "password", "p:w@d\n")
    ask(Connection(url=server.url, user="ann", password_file=password))
    ask(Connection(url=server.url.replace("http://", "http://bob:p%40ss@")))
    assert [one.headers["Authorization"] for one in server.asked] == [basic("ann", "p:w@d"), basic("bob", "p@ss")]


def test_headers_and_a_path_are_sent_along(server: FakePrometheus) -> None:
    ask(Connection(url=f"{server.url}/tenants/a/", headers=(("X-Scope-OrgID", "team-a"),)))
    assert server.asked[0].path == "/tenants/a/api/v1/query_range"
    assert server.asked[0].headers["X-Scope-OrgID"] == "team-a"


def test_netrc_is_not_looked_into(server: FakePrometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(written(tmp_path / "netrc", "machine 127.0.0.1 login x password y\n")))
    ask(Connection(url=server.url))
    assert "Authorization" not in server.asked[0].headers


def test_credentials_do_not_leave_for_a_server_that_an_object_names(server: FakePrometheus, tmp_path: Path) -> None:
    token = written(tmp_path / "token", "secret")
    elsewhere = FakePrometheus()
    own = Connection(url=server.url, token_file=token, headers=(("X-Api-Key", "k"), ("X-Scope-OrgID", "all")))
    ask(own, endpoint=elsewhere.url, headers=(("X-Scope-OrgID", "team-b"),))
    ask(own, endpoint=f"{server.url}/b", headers=(("x-scope-orgid", "team-b"),))
    ask(own, headers=(("X-Scope-OrgID", "team-c"),))
    away, (at_home, same) = elsewhere.asked[0].headers, [one.headers for one in server.asked]
    elsewhere.close()
    assert away["X-Scope-OrgID"] == "team-b"
    assert not {"Authorization", "X-Api-Key"} & set(away)
    assert at_home["Authorization"] == "Bearer secret"
    assert at_home["x-scope-orgid"] == "team-b"
    assert "X-Scope-OrgID" not in at_home
    assert (same["X-Scope-OrgID"], same["X-Api-Key"]) == ("team-c", "k")


def test_userinfo_goes_along_to_another_path_of_the_same_server() -> None:
    own = Connection(url="https://ann:pw@mimir:443/a")
    assert own.elsewhere("https://mimir/b", ()).basic_auth == ("ann", "pw")
    assert own.elsewhere("https://mimir:444/b", ()).basic_auth is None
    assert own.elsewhere("http://mimir/b", ()).basic_auth is None


LINK_LOCAL = ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "2852039166", "[fd00:ec2::254]"]


@pytest.mark.parametrize("host", LINK_LOCAL)
def test_an_object_may_not_name_a_link_local_server(server: FakePrometheus, host: str) -> None:
    said = str(ask(Connection(url=server.url), endpoint=f"http://{host}/computeMetadata/v1"))
    assert said.startswith(f"spec.prometheus.serverAddress: {host.strip('[]')} is link-local, ")
    assert said.endswith("no object or trigger may name it: give a Prometheus server")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nor_by_a_name(server: FakePrometheus, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    said = str(ask(Connection(url=server.url), endpoint=f"{scheme}://metadata.google.internal"))
    assert "metadata.google.internal is link-local, 169.254.169.254, where" in said


def test_nor_by_a_name_that_is_resolved_otherwise_the_second_time(
    server: FakePrometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FakePrometheus()
    monkeypatch.setattr(link_local, "_REFUSED", (ip_network("127.0.0.0/8"),))
    monkeypatch.setattr(link_local, "_refuse_resolved", lambda _: None)
    said = str(ask(Connection(url=server.url), endpoint=other.url.replace("127.0.0.1", "localhost")))
    other.close()
    assert "localhost is link-local, 127.0.0.1" in said
    assert other.asked == []


def test_another_server_that_cant_be_reached_is_told_as_the_own_one_is(server: FakePrometheus) -> None:
    server.close()
    said = str(ask(Connection(url="http://p"), endpoint=server.url)).removeprefix(server.url)
    assert said == ": can't be reached: Failed to establish a new connection: Connection refused"


def test_the_operators_own_server_may_be_any(server: FakePrometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_local, "_REFUSED", (ip_network("127.0.0.0/8"),))
    ask(Connection(url=server.url), endpoint=f"{server.url}/b")
    assert [one.path for one in server.asked] == ["/b/api/v1/query_range"]


def test_objects_may_name_the_servers_that_are_allowed_and_the_own_one(server: FakePrometheus) -> None:
    own = Connection(url=server.url, allowed_servers=("https://mimir:443", "http://thanos:9090/"))
    assert own.elsewhere("https://mimir/tenant", ()).url == "https://mimir/tenant"
    assert own.elsewhere("http://thanos:9090", ()).named_by_object
    assert not own.elsewhere(f"{server.url}/b", ()).named_by_object
    for other in ("http://mimir:443", "https://mimir:444", "http://thanos", "http://thanos:9090@evil:9090"):
        with pytest.raises(UsageError, match=r"is none of the servers that --prometheus-allowed-server allows"):
            own.elsewhere(other, ())
    said = str(ask(own, endpoint="http://evil:1"))
    assert "http://evil:1 is none of the servers" in said


@pytest.mark.parametrize(
    ("allowed", "said"), [("mimir", "is no http or https address"), ("http://mimir/a", "has a path")]
)
def test_a_server_that_is_allowed_is_an_origin(allowed: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^--prometheus-allowed-server: .*{said}"):
        Connection(url="http://p", allowed_servers=(allowed,))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("prometheus:9090", "'prometheus:9090' is no http or https address"),
        ("ftp://u:secret@files", "'ftp://files' is no http or https address"),
        ("http://", "is no http or https address"),
        ("http://u:secret@host:99999", "http://host:99999 is no address"),
        ("http://[::1", "can't be parsed is no address"),
        ("http://u:secret@host/?token=secret", "http://host/ must have no parameters"),
        ("http://host:9090/api/v1", "leave out '/api/v1'"),
        ("http://ho st", "is no http or https address"),
    ],
)
def test_a_bad_address_is_one_line_without_its_secrets(url: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        Connection(url=url)
    assert str(raised.value).startswith("--prometheus: ")
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


def test_nothing_secret_is_shown() -> None:
    connection = Connection(url="http://u:secret@127.0.0.1:1/x", headers=(("X-Api-Key", "secret"),))
    failed = ask(connection)
    assert "secret" not in repr(connection) + str(failed) + connection.base_url
    assert (
        str(failed)
        == "http://127.0.0.1:1/x: can't be reached: Failed to establish a new connection: Connection refused"
    )


TEXT, EMPTY, LINES, MISSING = (Path(name) for name in ("text", "empty", "lines", "missing"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token_file": MISSING}, "--prometheus-token-file: missing: No such file"),
        ({"token_file": EMPTY}, "--prometheus-token-file: empty: must hold one line of text"),
        ({"token_file": LINES}, "--prometheus-token-file: lines: must hold one line of text"),
        ({"token_file": Path()}, "--prometheus-token-file: .: Is a directory"),
        ({"user": "ann"}, "--prometheus-password-file: is missing"),
        ({"password_file": TEXT}, "--prometheus-user: is missing"),
        (
            {"token_file": TEXT, "user": "ann", "password_file": TEXT},
            "--prometheus-token-file and --prometheus-user exclude each other",
        ),
        (
            {"token_file": TEXT, "headers": (("authorization", "x"),)},
            "--prometheus-token-file and an Authorization header exclude each other",
        ),
        ({"ca_file": MISSING}, "--prometheus-ca-file: missing: can't be read: No such file"),
        (
            {"ca_file": TEXT},
            "--prometheus-ca-file: text: holds no certificates in PEM (NO_CERTIFICATE_OR_CRL_FOUND); give those of",
        ),
        ({"client_cert": TEXT}, "--prometheus-client-cert: text: is no certificate with its key in PEM ("),
        ({"client_key": TEXT}, "--prometheus-client-cert: is missing"),
        ({"timeout_s": 0.0}, "--prometheus-timeout: 0 s is out of range"),
        ({"timeout_s": float("nan")}, "--prometheus-timeout: nan s is out of range"),
        ({"headers": (("X Y", "v"),)}, "--prometheus-header: 'X Y' is no name of a header"),
        ({"headers": (("X", "a\r\nY: b"),)}, "--prometheus-header: the value of X must be printable ASCII"),
    ],
)
def test_a_bad_option_is_one_line_that_names_it(
    options: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, text in ((TEXT, "hello"), (EMPTY, "\n"), (LINES, "a\nb")):
        path.write_text(text)
    with pytest.raises(UsageError) as raised:
        Connection(url=URL, **options)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and server and client certificates with keys that it signed."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "3650",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    for name in ("server", "client"):
        (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "3650", "-extfile", "ext")  # fmt: skip
    return folder


@pytest.fixture
def tls_server(certificates: Path) -> Iterator[FakePrometheus]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    serving = FakePrometheus(tls=context)
    serving.series = [({"__name__": "up"}, constant(1))]
    yield serving
    serving.close()


def test_a_server_with_its_own_authority_asks_for_our_certificate(
    tls_server: FakePrometheus, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An environment that sets other certificates doesn't replace the ones that were given.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "client.pem"))
    trusted = {"url": tls_server.url, "ca_file": certificates / "ca.pem"}
    ours = {"client_cert": certificates / "client.pem", "client_key": certificates / "client.key"}
    assert isinstance(ask(Connection(**trusted, **ours)), RangeAnswer)

    stranger = ask(Connection(**trusted))
    assert isinstance(stranger, SourceError)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    untrusted = ask(Connection(url=tls_server.url, **ours))
    assert isinstance(untrusted, SourceError)
    assert untrusted.failure is Failure.UNREACHABLE
    assert "TLS failed" in str(untrusted)
    assert "--prometheus-ca-file" in str(untrusted)
