"""Whole ways: from an upload through topic, queue and function to a row; functions behind URLs;
a stack of CloudFormation; tags and isolation.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from tests.contract.aws import (
    EXPIRING,
    Aws,
    Function,
    Lambda,
    Recorder,
    allow,
    error_code,
    unique,
    until,
    zipped,
    zipped_with_pillow,
)
from tests.contract.web import ask

REFUSALS = {"BucketAlreadyExists", "InvalidAccessKeyId"}
"""AWS knows other accounts; the embedded cloud has one, and refuses strangers at the door."""
EXPIRY_S = 90.0
KEY = "a b/photo +1 ü.jpg"


def photo() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (640, 480), (200, 30, 40)).save(made, "JPEG")
    return made.getvalue()


@dataclass(frozen=True, slots=True)
class Ways:
    """An upload that goes two ways: through a queue, and straight to a function."""

    aws: Aws
    outputs: str
    table: str

    def output(self, prefix: str) -> bytes:
        s3 = self.aws.client("s3")

        def found() -> list[str]:
            listed = s3.list_objects_v2(Bucket=self.outputs, Prefix=prefix).get("Contents", [])
            return [each["Key"] for each in listed]

        assert until(found) == [prefix + KEY]
        return bytes(s3.get_object(Bucket=self.outputs, Key=prefix + KEY)["Body"].read())


@pytest.fixture(scope="module")
def ways(cloud: Aws, functions: Lambda) -> Ways:
    uploads, outputs, topic, table = cloud.bucket(), cloud.bucket(), cloud.topic(), unique("table")
    cloud.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    made = {"BUCKET": outputs, "TABLE": table}
    code = zipped_with_pillow()
    queued, direct = (
        functions.make("thumbnail", code, Timeout=20, variables={**made, "PREFIX": prefix})
        for prefix in ("queued/", "direct/")
    )
    _wire(cloud, functions, uploads, topic, queued, direct)
    cloud.put(uploads, KEY, body=photo())
    return Ways(cloud, outputs, table)


def _wire(
    cloud: Aws, functions: Lambda, uploads: str, topic: str, queued: Function, direct: Function
) -> None:
    sns = cloud.client("sns")
    sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=allow(
            "sns:Publish",
            topic,
            {"Service": "s3.amazonaws.com"},
            ArnLike={"aws:SourceArn": f"arn:aws:s3:::{uploads}"},
        ),
    )
    queue = cloud.queue(dead_letters=cloud.queue(), VisibilityTimeout="60")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    functions.map(queue, queued)
    functions.permit(direct, "sns.amazonaws.com", SourceArn=topic)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=direct.arn)
    rule = {"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
    cloud.client("s3").put_bucket_notification_configuration(
        Bucket=uploads, NotificationConfiguration={"TopicConfigurations": [rule]}
    )


def test_an_upload_reaches_a_function_through_topic_and_queue(ways: Ways) -> None:
    assert ways.output("queued/")


def test_an_upload_reaches_a_function_straight_from_the_topic(ways: Ways) -> None:
    assert ways.output("direct/")


def test_a_key_comes_through_unchanged(ways: Ways) -> None:
    ways.output("queued/")
    found = ways.aws.client("s3").list_objects_v2(Bucket=ways.outputs)["Contents"]
    assert {each["Key"].partition("/")[2] for each in found} == {KEY}


def test_the_function_made_a_real_picture(ways: Ways) -> None:
    assert Image.open(io.BytesIO(ways.output("queued/"))).size == (128, 96)


def test_the_function_wrote_a_row(ways: Ways) -> None:
    dynamodb = ways.aws.client("dynamodb")
    wanted = {"TableName": ways.table, "Key": {"pk": {"S": KEY}}, "ConsistentRead": True}
    item = until(lambda: dynamodb.get_item(**wanted).get("Item"))
    assert item["width"] == {"N": "640"}


@pytest.fixture(scope="module")
def web(functions: Lambda) -> Function:
    return functions.make("web")


def test_a_function_answers_at_its_url(cloud: Aws, functions: Lambda, web: Function) -> None:
    made = functions.client.create_function_url_config(FunctionName=web.name, AuthType="NONE")
    functions.client.add_permission(
        FunctionName=web.name,
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    page = ask("POST", made["FunctionUrl"] + "a/b?x=1", b"hi", connect_to=cloud.endpoint)
    assert (page.status, json.loads(page.body)["path"]) == (201, "/a/b")


def permit_gateway(functions: Lambda, web: Function) -> None:
    functions.permit(web, "apigateway.amazonaws.com")


def test_an_api_made_for_a_function_answers_everywhere(
    cloud: Aws, functions: Lambda, web: Function
) -> None:
    permit_gateway(functions, web)
    made = cloud.client("apigatewayv2").create_api(
        Name=unique("api"), ProtocolType="HTTP", Target=web.arn
    )
    page = ask("GET", made["ApiEndpoint"] + "/x/y", connect_to=cloud.endpoint)
    assert page.status == 201


def test_an_api_answers_at_its_routes(cloud: Aws, functions: Lambda, web: Function) -> None:
    permit_gateway(functions, web)
    gateway = cloud.client("apigatewayv2")
    api = gateway.create_api(Name=unique("api"), ProtocolType="HTTP")
    integration = gateway.create_integration(
        ApiId=api["ApiId"],
        IntegrationType="AWS_PROXY",
        IntegrationUri=web.arn,
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    gateway.create_route(
        ApiId=api["ApiId"], RouteKey="GET /img/{id}", Target=f"integrations/{integration}"
    )
    gateway.create_stage(ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
    page = ask("GET", api["ApiEndpoint"] + "/img/7", connect_to=cloud.endpoint)
    assert page.status == 201


def tagged(aws: Aws, value: str) -> set[str]:
    """Return the services of all that carry the tag."""
    wanted = [{"Key": "stack", "Values": [value]}]
    found = aws.client("resourcegroupstaggingapi").get_resources(TagFilters=wanted)
    return {each["ResourceARN"].split(":")[2] for each in found["ResourceTagMappingList"]}


def test_what_is_tagged_is_found_by_its_tag(cloud: Aws, functions: Lambda) -> None:
    value = unique("value")
    tags = [{"Key": "stack", "Value": value}]
    cloud.client("s3").put_bucket_tagging(Bucket=cloud.bucket(), Tagging={"TagSet": tags})
    cloud.client("sns").create_topic(Name=unique("topic"), Tags=tags)
    cloud.client("sqs").create_queue(QueueName=unique("queue"), tags={"stack": value})
    functions.make(Tags={"stack": value})
    cloud.client("dynamodb").create_table(
        TableName=unique("table"),
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=tags,
    )
    assert tagged(cloud, value) == {"s3", "sns", "sqs", "lambda", "dynamodb"}


def test_alarms_and_log_groups_are_found_by_their_tag(aws: Aws) -> None:
    value = unique("value")
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=unique("alarm"),
        Namespace="x",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Tags=[{"Key": "stack", "Value": value}],
    )
    aws.client("logs").create_log_group(logGroupName=unique("/group"), tags={"stack": value})
    assert tagged(aws, value) == {"cloudwatch", "logs"}


def test_a_topic_is_not_seen_from_another_region(aws: Aws) -> None:
    topic = aws.topic()
    elsewhere = aws.client("sns", region_name="eu-west-1").list_topics()["Topics"]
    assert topic not in [each["TopicArn"] for each in elsewhere]


def of_another_account(aws: Aws, service: str) -> Any:
    return aws.client(service, aws_access_key_id="999999999999", aws_secret_access_key="x" * 20)


def test_a_topic_is_not_seen_from_another_account(cloud: Aws) -> None:
    cloud.topic()
    assert error_code(of_another_account(cloud, "sns").list_topics) == "InvalidClientTokenId"


def test_a_bucket_is_not_read_from_another_account(cloud: Aws) -> None:
    stranger, bucket = of_another_account(cloud, "s3"), cloud.bucket()
    assert error_code(stranger.head_bucket, Bucket=bucket) in {"403", "404"}


def test_a_bucket_is_not_made_under_the_name_of_another_account(cloud: Aws) -> None:
    stranger, bucket = of_another_account(cloud, "s3"), cloud.bucket()
    assert error_code(stranger.create_bucket, Bucket=bucket) in REFUSALS


def stack_template(runtime: str, uploads: str, kept: str) -> dict[str, Any]:
    """Return a template in which an upload goes through topic and queue to a recorder."""

    def policy(service: str, action: str, resource: Any) -> dict[str, Any]:
        principal = {"Service": service}
        statement = {"Effect": "Allow", "Principal": principal, "Action": action}
        return {
            "Version": "2012-10-17",
            "Statement": [{**statement, "Resource": resource} if resource else statement],
        }

    def arn(name: str) -> dict[str, Any]:
        return {"Fn::GetAtt": [name, "Arn"]}

    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    resources = {
        "Grave": ("SQS::Queue", {}),
        "Queue": (
            "SQS::Queue",
            {
                "VisibilityTimeout": 60,
                "RedrivePolicy": {"deadLetterTargetArn": arn("Grave"), "maxReceiveCount": 3},
            },
        ),
        "Topic": ("SNS::Topic", {"Subscription": [{"Protocol": "sqs", "Endpoint": arn("Queue")}]}),
        "QueuePolicy": (
            "SQS::QueuePolicy",
            {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": policy("sns.amazonaws.com", "sqs:SendMessage", arn("Queue")),
            },
        ),
        "TopicPolicy": (
            "SNS::TopicPolicy",
            {
                "Topics": [{"Ref": "Topic"}],
                "PolicyDocument": policy("s3.amazonaws.com", "sns:Publish", {"Ref": "Topic"}),
            },
        ),
        "Uploads": (
            "S3::Bucket",
            {
                "BucketName": uploads,
                "NotificationConfiguration": {
                    "TopicConfigurations": [
                        {"Event": "s3:ObjectCreated:*", "Topic": {"Ref": "Topic"}}
                    ]
                },
            },
        ),
        "Role": (
            "IAM::Role",
            {
                "AssumeRolePolicyDocument": policy("lambda.amazonaws.com", "sts:AssumeRole", None),
                "Policies": [
                    {
                        "PolicyName": "all",
                        "PolicyDocument": {"Version": "2012-10-17", "Statement": [everything]},
                    }
                ],
            },
        ),
        "Function": (
            "Lambda::Function",
            {
                "Runtime": runtime,
                "Handler": "handlers.record",
                "Role": arn("Role"),
                "Code": {"S3Bucket": kept, "S3Key": "code.zip"},
                "Timeout": 10,
                "Environment": {"Variables": {"BUCKET": kept}},
            },
        ),
        "Mapping": (
            "Lambda::EventSourceMapping",
            {"EventSourceArn": arn("Queue"), "FunctionName": {"Ref": "Function"}, "BatchSize": 5},
        ),
        "Alarm": (
            "CloudWatch::Alarm",
            {
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Statistic": "Maximum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            },
        ),
        "Dashboard": ("CloudWatch::Dashboard", {"DashboardBody": '{"widgets":[]}'}),
        "Table": (
            "DynamoDB::Table",
            {
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            },
        ),
    }
    made: dict[str, Any] = {
        name: {"Type": f"AWS::{kind}", "Properties": properties}
        for name, (kind, properties) in resources.items()
    }
    made["Uploads"]["DependsOn"] = "TopicPolicy"
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": made,
        "Outputs": {"Queue": {"Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}},
    }


@dataclass(frozen=True, slots=True)
class Stack:
    name: str
    uploads: str
    recorder: Recorder
    status: str
    queue: str


@pytest.fixture(scope="module")
def stack(cloud: Aws, functions: Lambda) -> Stack:
    kept, uploads, name = cloud.bucket(), unique("uploads"), unique("stack")
    cloud.put(kept, "code.zip", body=zipped())
    formation = cloud.client("cloudformation")
    formation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(stack_template(functions.runtime, uploads, kept)),
        Capabilities=["CAPABILITY_IAM"],
    )

    def finished() -> dict[str, Any] | None:
        [found] = formation.describe_stacks(StackName=name)["Stacks"]
        return None if found["StackStatus"].endswith("IN_PROGRESS") else found

    found = until(finished) or {}
    queue = found["Outputs"][0]["OutputValue"]
    return Stack(
        name, uploads, Recorder(Function("", ""), kept, cloud), found["StackStatus"], queue
    )


def test_a_stack_of_many_kinds_is_created(stack: Stack) -> None:
    assert stack.status == "CREATE_COMPLETE"


def test_a_stack_works(cloud: Aws, stack: Stack) -> None:
    cloud.put(stack.uploads, "a.jpg")
    assert until(lambda: stack.recorder.events(stack.queue))


def test_a_stack_is_deleted_with_all_that_is_in_it(cloud: Aws, stack: Stack) -> None:
    cloud.client("s3").delete_object(Bucket=stack.uploads, Key="a.jpg")
    cloud.client("cloudformation").delete_stack(StackName=stack.name)
    until(lambda: error_code(cloud.client("s3").head_bucket, Bucket=stack.uploads) == "404")


def test_an_item_expires_and_others_stay(cloud: Aws) -> None:
    dynamodb = cloud.client("dynamodb")

    def left() -> list[str]:
        items = dynamodb.scan(TableName=EXPIRING, ConsistentRead=True)["Items"]
        return [item["pk"]["S"] for item in items]

    until(lambda: "past" not in left(), EXPIRY_S)
    assert left() == ["future"]
