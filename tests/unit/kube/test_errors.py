"""Every failure is one line that says what was asked, why it failed and what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from autoscaler.errors import one_line
from autoscaler.kube.errors import Call, KubeFailure, error_of_status

CALL = Call("patch", "deployments.apps/scale", "team", "llm")
NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, KubeFailure.INVALID),
        (400, KubeFailure.INVALID),
        (401, KubeFailure.UNAUTHORIZED),
        (403, KubeFailure.FORBIDDEN),
        (404, KubeFailure.NOT_FOUND),
        (409, KubeFailure.CONFLICT),
        (410, KubeFailure.GONE),
        (422, KubeFailure.INVALID),
        (429, KubeFailure.THROTTLED),
        (500, KubeFailure.SERVER_ERROR),
        (503, KubeFailure.SERVER_ERROR),
        (504, KubeFailure.TIMEOUT),
    ],
)
def test_a_status_has_a_kind(status: int, kind: KubeFailure) -> None:
    problem = error_of_status(CALL, status=status, body=b"", headers={})
    assert problem.kind is kind
    assert str(problem).startswith(f"patch deployments.apps/scale team/llm: {status} ")
    assert problem.exit_code == 1


def test_forbidden_names_the_verb_and_the_resource_to_grant() -> None:
    problem = error_of_status(CALL, status=403, body=b"{}", headers={})
    assert "grant the service account the verb 'patch' on 'deployments.apps/scale' in namespace team" in str(problem)


def test_while_a_namespace_is_deleted_no_verb_is_to_be_granted() -> None:
    terminating = {"reason": "NamespaceTerminating", "message": "namespace team is being terminated"}
    said = 'events "chat.1" is forbidden: unable to create new content in namespace team because it is being terminated'
    body = {"kind": "Status", "reason": "Forbidden", "message": said, "details": {"causes": [terminating]}, "code": 403}
    problem = error_of_status(Call("create", "events", "team"), status=403, body=json.dumps(body).encode(), headers={})
    assert problem.kind is KubeFailure.FORBIDDEN
    assert str(problem).endswith(
        "being terminated; the namespace is being deleted, and all in it; nothing is to be done"
    )


@pytest.mark.parametrize("causes", [5, None, [], ["NamespaceTerminating"], [{"reason": "Other"}]])
def test_of_any_other_cause_the_verb_is_told(causes: object) -> None:
    body = json.dumps({"details": {"causes": causes}}).encode()
    assert "grant the service account" in str(error_of_status(CALL, status=403, body=body, headers={}))


def test_without_our_definition_it_is_said_how_to_install_it() -> None:
    call = Call("list", "predictiveautoscalers.headstart.dev", "llm")
    said = str(error_of_status(call, status=404, body=b"404 page not found", headers={}))
    assert "headstart crd | kubectl apply -f -" in said


def test_what_a_proxy_answers_instead_of_a_status_is_no_traceback() -> None:
    for body in (b"<html>bad gateway</html>", b"", b"[1]", b'{"message": 5, "details": "x"}', b"\xff\xfe"):
        problem = error_of_status(CALL, status=502, body=body, headers={})
        assert "502 ServerError: HTTP 502; whether it was carried out isn't known; see the API server's log" in str(
            problem
        )


def test_a_webhook_that_answers_with_pages_is_cut_to_one_line() -> None:
    body = json.dumps({"message": "denied:\n" + "long reasons\n" * 1000}).encode()
    message = str(error_of_status(CALL, status=422, body=body, headers={}))
    assert "\n" not in message
    assert len(message) < 700
    assert one_line("a\n\tb") == "a b"


@pytest.mark.parametrize(
    ("header", "details_s", "expected_s"),
    [
        ("7", None, 7.0),
        ("7", 3, 7.0),
        (None, 3, 3.0),
        ("Mon, 05 Jan 2026 12:00:30 GMT", None, 30.0),
        ("Mon, 05 Jan 2026 11:00:00 GMT", None, 0.0),
        ("100000", None, 300.0),
        ("-1", None, 0.0),
        ("nan", None, 0.0),
        ("soon", None, 0.0),
        (None, None, 0.0),
        (None, "x", 0.0),
    ],
)
def test_retry_after_is_read_and_bounded(header: str | None, details_s: object, expected_s: float) -> None:
    body = json.dumps({"details": {"retryAfterSeconds": details_s}}).encode()
    headers = {"Retry-After": header} if header else {}
    assert error_of_status(CALL, status=429, body=body, headers=headers, now=NOW).retry_after_s == expected_s
