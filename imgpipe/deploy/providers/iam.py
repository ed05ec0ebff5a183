"""Execution roles, under the path /imgpipe/, each with one inline policy.

Roles are an account's, not a Region's, and the tagging API never lists them: what is no longer declared is found by
path, by the name's beginning and the Region at its end, and then by its tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy.providers.documents import settled
from imgpipe.deploy.providers.site import Site, found, gone
from imgpipe.deploy.resources import Key, Role

PATH, POLICY_NAME = "/imgpipe/", "imgpipe"


class Roles:
    def __init__(self, site: Site) -> None:
        self._site, self._iam = site, site.client("iam")

    def read(self, anchor: str, declared: Mapping[Key, Role]) -> Iterable[Role]:
        role = found(lambda: self._iam.get_role(RoleName=anchor)["Role"])
        if role is None:
            return
        wanted = declared.get(Key("role", anchor))
        policy = (
            found(lambda: self._iam.get_role_policy(RoleName=anchor, PolicyName=POLICY_NAME)) or {}
        )
        yield Role(
            name=anchor,
            trust=settled(role["AssumeRolePolicyDocument"], wanted.trust if wanted else ""),
            policy=settled(policy.get("PolicyDocument"), wanted.policy if wanted else ""),
        )

    def create(self, wanted: Role) -> None:
        try:
            self._iam.create_role(
                RoleName=wanted.name,
                Path=PATH,
                AssumeRolePolicyDocument=wanted.trust,
                Tags=self._site.tag_list,
                Description=f"Runs {wanted.name} of an imgpipe pipeline",
            )
        except ClientError as error:
            if error_code(error) != "EntityAlreadyExists":
                raise
            self._iam.update_assume_role_policy(RoleName=wanted.name, PolicyDocument=wanted.trust)
            self._iam.tag_role(RoleName=wanted.name, Tags=self._site.tag_list)
        self._put_policy(wanted)

    def update(self, wanted: Role, before: Role) -> None:
        if wanted.trust != before.trust:
            self._iam.update_assume_role_policy(RoleName=wanted.name, PolicyDocument=wanted.trust)
        self._put_policy(wanted)

    def delete(self, before: Role) -> None:
        role = {"RoleName": before.name}
        for policy in self._listed("list_role_policies", "PolicyNames", role):
            gone(lambda policy=policy: self._iam.delete_role_policy(**role, PolicyName=policy))  # type: ignore[misc]
        for policy in self._listed("list_attached_role_policies", "AttachedPolicies", role):
            gone(
                lambda policy=policy: self._iam.detach_role_policy(  # type: ignore[misc]
                    **role, PolicyArn=policy["PolicyArn"]
                )
            )
        gone(lambda: self._iam.delete_role(**role))

    def strays(self, declared: Iterable[Key]) -> Iterator[Key]:
        """Yield the roles that are ours in this Region but not among `declared`."""
        known, ending = set(declared), f"-{self._site.place.region}"
        for role in self._listed("list_roles", "Roles", {"PathPrefix": PATH}):
            key = Key("role", role["RoleName"])
            mine = self._site.names(key.name) and key.name.endswith(ending)
            if key not in known and mine and self._is_tagged(key.name):
                yield key

    def _is_tagged(self, name: str) -> bool:
        answer = found(lambda: self._iam.list_role_tags(RoleName=name)) or {"Tags": []}
        return self._site.owns({tag["Key"]: tag["Value"] for tag in answer["Tags"]})

    def _put_policy(self, wanted: Role) -> None:
        self._iam.put_role_policy(
            RoleName=wanted.name, PolicyName=POLICY_NAME, PolicyDocument=wanted.policy
        )

    def _listed(self, operation: str, field: str, arguments: dict[str, str]) -> list[Any]:
        pages = self._iam.get_paginator(operation)
        return (
            found(lambda: [one for page in pages.paginate(**arguments) for one in page[field]])
            or []
        )
