"""A healthy pipeline as somebody else would have made it, put into moto by plain API calls.

bucket --incoming/*.{jpg,JPG,…}--> topic --> queue --> `thumbs` --> `results` --> `writer` --> table
                                      +----> `preview`, called directly
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from typing import Any

from tests.providers.conftest import ACCOUNT, REGION, Clients

BUCKET, OUTPUTS = "shop-uploads", "shop-outputs"
ENDINGS = (".jpg", ".JPG", ".jpeg", ".JPEG", ".png", ".PNG")
DAY = 86_400
FUNCTIONS = ("thumbs", "writer", "preview")


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def function_arn(name: str) -> str:
    return arn("lambda", f"function:{name}")


def url(queue: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}"


def allow(service: str, action: str, resource: str, source: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": source}},
    }


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass
class Shop:
    """The pipeline, and the clients to break it with."""

    clients: Clients
    account: str = ACCOUNT
    region: str = REGION
    mappings: dict[str, str] = field(default_factory=dict)  # queue -> UUID

    def client(self, service: str) -> Any:
        return self.clients.client(service)

    def build(self) -> None:
        self._queues()
        self._topics()
        self._table()
        self._functions()
        self._buckets()
        self._watch()

    def role(self, name: str, *statements: dict[str, Any]) -> str:
        role = f"shop-{name}"
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        iam = self.client("iam")
        made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document(trust))
        self.grant(name, *statements)
        return str(made["Role"]["Arn"])

    def grant(self, name: str, *statements: dict[str, Any]) -> None:
        log = {
            "Effect": "Allow",
            "Action": ["logs:PutLogEvents", "logs:CreateLogStream"],
            "Resource": "*",
        }
        self.client("iam").put_role_policy(
            RoleName=f"shop-{name}", PolicyName="own", PolicyDocument=document(log, *statements)
        )

    def notify(self, endings: tuple[str, ...] = ENDINGS, target: str = "shop-uploaded") -> None:
        entries = [
            {
                "Id": f"shop-{number}",
                "TopicArn": arn("sns", target),
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {
                    "Key": {
                        "FilterRules": [
                            {"Name": "prefix", "Value": "incoming/"},
                            {"Name": "suffix", "Value": ending},
                        ]
                    }
                },
            }
            for number, ending in enumerate(endings)
        ]
        self.client("s3").put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"TopicConfigurations": entries}
        )

    def say(self, function: str, *lines: str) -> None:
        """Have a function say something in its log, now."""
        logs, group = self.client("logs"), f"/aws/lambda/{function}"
        stream = str(uuid.uuid4())
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[
                {"timestamp": int(time.time() * 1000) + 2000, "message": it} for it in lines
            ],
        )

    def _queues(self) -> None:
        sqs = self.client("sqs")
        for name in ("shop-dlq", "shop-rest-dlq"):
            sqs.create_queue(QueueName=name, Attributes={"MessageRetentionPeriod": str(14 * DAY)})
        for name, timeout_s in (("shop-thumbs", 30), ("shop-results", 10)):
            redrive = {"deadLetterTargetArn": arn("sqs", "shop-dlq"), "maxReceiveCount": "5"}
            sqs.create_queue(
                QueueName=name,
                Attributes={
                    "VisibilityTimeout": str(6 * timeout_s),
                    "RedrivePolicy": json.dumps(redrive),
                },
            )

        self.let_topic_send("shop-thumbs")
        self.let_topic_send("shop-rest-dlq")

    def let_topic_send(self, queue: str) -> None:
        """moto forgets a policy whenever other attributes are set: it comes last."""
        policy = allow("sns", "sqs:SendMessage", arn("sqs", queue), arn("sns", "shop-uploaded"))
        self.client("sqs").set_queue_attributes(
            QueueUrl=url(queue), Attributes={"Policy": document(policy)}
        )

    def _topics(self) -> None:
        sns = self.client("sns")
        for name, service, action_source in (
            ("shop-uploaded", "s3", f"arn:aws:s3:::{BUCKET}"),
            ("shop-alarms", "cloudwatch", arn("cloudwatch", "alarm:*")),
        ):
            topic = arn("sns", name)
            sns.create_topic(Name=name)
            sns.set_topic_attributes(
                TopicArn=topic,
                AttributeName="Policy",
                AttributeValue=document(allow(service, "sns:Publish", topic, action_source)),
            )
        sns.subscribe(
            TopicArn=arn("sns", "shop-alarms"), Protocol="email", Endpoint="ops@example.com"
        )

    def subscribe(self, protocol: str, endpoint: str) -> None:
        redrive = json.dumps({"deadLetterTargetArn": arn("sqs", "shop-rest-dlq")})
        self.client("sns").subscribe(
            TopicArn=arn("sns", "shop-uploaded"),
            Protocol=protocol,
            Endpoint=endpoint,
            Attributes={"RedrivePolicy": redrive},
        )

    def _table(self) -> None:
        self.client("dynamodb").create_table(
            TableName="shop-images",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("id", "status", "at")
            ],
            GlobalSecondaryIndexes=[index("by-status", "status", "at")],
        )

    def _functions(self) -> None:
        consume = {
            "Effect": "Allow",
            "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            "Resource": arn("sqs", "shop-*"),
        }
        put = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{OUTPUTS}/*"}
        self._function("thumbs", 30, consume, put, QUEUE=url("shop-results"), OUT=OUTPUTS)
        self._function("writer", 10, consume, TABLE="shop-images")
        self._function("preview", 30, put, OUT=OUTPUTS)
        client = self.client("lambda")
        for queue, function in (("shop-thumbs", "thumbs"), ("shop-results", "writer")):
            self.map(queue, function)
        client.put_function_event_invoke_config(
            FunctionName="preview",
            DestinationConfig={"OnFailure": {"Destination": arn("sqs", "shop-rest-dlq")}},
        )
        client.add_permission(
            FunctionName="preview",
            StatementId="topic",
            Action="lambda:InvokeFunction",
            Principal="sns.amazonaws.com",
            SourceArn=arn("sns", "shop-uploaded"),
        )
        self.subscribe("sqs", arn("sqs", "shop-thumbs"))
        self.subscribe("lambda", function_arn("preview"))

    def map(self, queue: str, function: str, *, reports: bool = True) -> None:
        made = self.client("lambda").create_event_source_mapping(
            EventSourceArn=arn("sqs", queue),
            FunctionName=function,
            BatchSize=10,
            FunctionResponseTypes=["ReportBatchItemFailures"] if reports else [],
        )
        self.mappings[queue] = made["UUID"]

    def _function(
        self, name: str, timeout_s: int, *statements: dict[str, Any], **variables: str
    ) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("code.py", "def handler(event, context): ...")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=self.role(name, *statements),
            Handler="code.handler",
            Code={"ZipFile": buffer.getvalue()},
            Timeout=timeout_s,
            MemorySize=512,
            Environment={"Variables": variables},
        )
        logs = self.client("logs")
        logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
        logs.put_retention_policy(logGroupName=f"/aws/lambda/{name}", retentionInDays=30)

    def _buckets(self) -> None:
        s3 = self.client("s3")
        for name in (BUCKET, OUTPUTS):
            s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.clean_up(abort=True, expire=True)
        self.notify()

    def clean_up(self, *, abort: bool, expire: bool) -> None:
        rule: dict[str, Any] = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}}
        rule["Expiration"] = {"ExpiredObjectDeleteMarker": True}
        if abort:
            rule["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": 7}
        if expire:
            rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 30}
        self.client("s3").put_bucket_lifecycle_configuration(
            Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]}
        )

    def _watch(self) -> None:
        for queue in ("shop-dlq", "shop-rest-dlq"):
            self.alarm(queue, AlarmActions=[arn("sns", "shop-alarms")])
        self.dashboard(["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "shop-dlq"])

    def alarm(self, queue: str, **more: Any) -> None:
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{queue}-full",
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            **more,
        )

    def dashboard(self, *metrics: list[str]) -> None:
        body = {"widgets": [{"type": "metric", "properties": {"metrics": list(metrics)}}]}
        self.client("cloudwatch").put_dashboard(
            DashboardName="shop", DashboardBody=json.dumps(body)
        )


def index(name: str, *keys: str) -> dict[str, Any]:
    kinds = ("HASH", "RANGE")
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
