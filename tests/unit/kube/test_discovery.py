"""Which resource a kind is."""

from __future__ import annotations

import pytest
from fake_api.server import FakeApi, Kind

from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure


def test_a_kind_is_asked_for_once(api: FakeApi, kube: Kube) -> None:
    served = kube.resource_of("apps/v1", "Deployment")
    assert (served.resource.plural, served.resource.group, served.resource.namespaced) == ("deployments", "apps", True)
    assert served.has_scale
    assert not kube.resource_of("apps/v1", "DaemonSet").has_scale
    assert kube.resource_of("v1", "Pod").resource.path("team", "p") == "/api/v1/namespaces/team/pods/p"
    assert [path for _, path, _ in api.requests] == ["/apis/apps/v1", "/api/v1"]


def test_what_is_missing_is_remembered_until_it_is_forgotten(api: FakeApi, kube: Kube) -> None:
    for _ in range(3):
        with pytest.raises(KubeError) as attempt:
            kube.resource_of("acme.io/v1", "Engine")
        assert attempt.value.kind is KubeFailure.NOT_FOUND
    assert len(api.requests) == 1
    api.kinds.append(Kind("acme.io", "v1", "engines", "Engine", scale=True))
    kube.forget_resources("acme.io/v1")
    assert kube.resource_of("acme.io/v1", "Engine").has_scale


def test_a_failure_is_not_remembered(api: FakeApi, kube: Kube) -> None:
    with api.fault(status=503), pytest.raises(KubeError) as attempt:
        kube.resource_of("apps/v1", "Deployment")
    assert attempt.value.kind is KubeFailure.SERVER_ERROR
    assert kube.resource_of("apps/v1", "Deployment").has_scale


@pytest.mark.parametrize("version", ["", "v1/../../secrets", "../v1", "apps", "apps/v1/x", "apps/v1?x=", "Apps/v1"])
def test_what_is_no_api_version_is_never_asked_for(api: FakeApi, kube: Kube, version: str) -> None:
    with pytest.raises(KubeError, match="is not an apiVersion") as attempt:
        kube.resource_of(version, "Deployment")
    assert attempt.value.kind is KubeFailure.INVALID
    assert api.requests == []
