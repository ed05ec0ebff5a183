"""Roles and rights."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.aws import Aws, error_code, unique

BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def make_role(aws: Aws) -> str:
    name = unique("role")
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    aws.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=document({**trusted, "Action": "sts:AssumeRole"})
    )
    return name


def test_a_role_keeps_its_policy(aws: Aws) -> None:
    iam, role = aws.client("iam"), make_role(aws)
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(READ))
    found = iam.get_role_policy(RoleName=role, PolicyName="p")
    assert found["PolicyDocument"]["Statement"] == [READ]


def test_a_policy_of_aws_can_be_attached(aws: Aws) -> None:
    iam, role = aws.client("iam"), make_role(aws)
    iam.attach_role_policy(RoleName=role, PolicyArn=BASIC)
    found = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in found] == [BASIC]


def test_a_role_with_policies_is_not_deleted(aws: Aws) -> None:
    iam, role = aws.client("iam"), make_role(aws)
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(READ))
    assert error_code(iam.delete_role, RoleName=role) == "DeleteConflict"


def test_a_policy_that_is_no_json_is_refused(aws: Aws) -> None:
    code = error_code(
        aws.client("iam").put_role_policy,
        RoleName=make_role(aws),
        PolicyName="p",
        PolicyDocument="{nope",
    )
    assert code == "MalformedPolicyDocument"


def test_a_policy_can_be_tried_out(aws: Aws) -> None:
    iam, role = aws.client("iam"), make_role(aws)
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(READ))
    found = iam.simulate_principal_policy(
        PolicySourceArn=iam.get_role(RoleName=role)["Role"]["Arn"],
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["*"],
    )
    decisions = {
        each["EvalActionName"]: each["EvalDecision"] for each in found["EvaluationResults"]
    }
    assert decisions == {"s3:GetObject": "allowed", "s3:PutObject": "implicitDeny"}


def test_a_user_without_a_policy_may_do_nothing(aws: Aws) -> None:
    iam, user, bucket = aws.client("iam"), unique("user"), aws.bucket()
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    s3 = aws.client(
        "s3",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    assert error_code(s3.put_object, Bucket=bucket, Key="x", Body=b"1") == "AccessDenied"


def test_a_missing_key_is_told_only_to_who_may_list_the_bucket(aws: Aws) -> None:
    """Others hear that they may not, whatever they ask for."""
    iam, user, bucket = aws.client("iam"), unique("user"), aws.bucket()
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    s3 = aws.client(
        "s3",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document(READ))
    assert error_code(s3.get_object, Bucket=bucket, Key="x") == "AccessDenied"
    assert error_code(s3.head_object, Bucket=bucket, Key="x") == "403"
    may_list = {**READ, "Action": ["s3:GetObject", "s3:ListBucket"]}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document(may_list))
    assert error_code(s3.get_object, Bucket=bucket, Key="x") == "NoSuchKey"
    assert error_code(s3.head_object, Bucket=bucket, Key="x") == "404"
