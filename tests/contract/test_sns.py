"""Topics: who hears of a message, and what becomes of one that nobody can be told."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.aws import Aws, Lambda, Queue, Recorder, error_code, until

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = {"kind": {"DataType": "String", "StringValue": "image"}}
TEXT = {"kind": {"DataType": "String", "StringValue": "text"}}


def subscribed(aws: Aws, topic: str, **attributes: str) -> Queue:
    queue = aws.queue()
    aws.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes=attributes
    )
    return queue


def publish(aws: Aws, topic: str, message: str = "hello", **settings: Any) -> None:
    aws.client("sns").publish(TopicArn=topic, Message=message, **settings)


def upload(key: str) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}}]})


def emails(aws: Aws, topic: str) -> list[dict[str, Any]]:
    found = aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return [each for each in found if each["Protocol"] == "email"]


def test_a_queue_gets_the_message_in_an_envelope(aws: Aws) -> None:
    topic = aws.topic()
    queue = subscribed(aws, topic)
    publish(aws, topic)
    envelope = json.loads(aws.receive(queue)[0]["Body"])
    assert (envelope["Type"], envelope["Message"]) == ("Notification", "hello")


def test_the_envelope_is_signed_dated_and_says_how_to_unsubscribe(aws: Aws) -> None:
    topic = aws.topic()
    queue = subscribed(aws, topic)
    publish(aws, topic, Subject="S")
    envelope = json.loads(aws.receive(queue)[0]["Body"])
    wanted = {"Signature", "SigningCertURL", "UnsubscribeURL", "Timestamp", "Subject"}
    assert wanted <= set(envelope)


def test_raw_delivery_leaves_the_envelope_out(aws: Aws) -> None:
    topic = aws.topic()
    queue = subscribed(aws, topic, RawMessageDelivery="true")
    publish(aws, topic)
    assert aws.receive(queue)[0]["Body"] == "hello"


def test_raw_delivery_keeps_the_attributes(aws: Aws) -> None:
    topic = aws.topic()
    queue = subscribed(aws, topic, RawMessageDelivery="true")
    publish(aws, topic, MessageAttributes=IMAGE)
    [message] = aws.receive(queue)
    assert message["MessageAttributes"]["kind"]["StringValue"] == "image"


def test_a_filter_on_attributes_takes_what_matches(aws: Aws) -> None:
    topic = aws.topic()
    queue = subscribed(
        aws, topic, RawMessageDelivery="true", FilterPolicy=json.dumps({"kind": ["image"]})
    )
    publish(aws, topic, "no", MessageAttributes=TEXT)
    publish(aws, topic, "yes", MessageAttributes=IMAGE)
    assert [message["Body"] for message in aws.receive(queue)] == ["yes"]


def test_a_filter_on_the_body_looks_into_lists(aws: Aws) -> None:
    topic = aws.topic()
    policy = {"Records": {"s3": {"object": {"key": [{"prefix": "in/"}]}}}}
    queue = subscribed(
        aws,
        topic,
        RawMessageDelivery="true",
        FilterPolicyScope="MessageBody",
        FilterPolicy=json.dumps(policy),
    )
    publish(aws, topic, upload("out/a.jpg"))
    publish(aws, topic, upload("in/a.jpg"))
    assert [message["Body"] for message in aws.receive(queue)] == [upload("in/a.jpg")]


def test_subscribing_an_address_waits_for_its_confirmation(aws: Aws) -> None:
    made = aws.client("sns").subscribe(
        TopicArn=aws.topic(), Protocol="email", Endpoint="a@example.com"
    )
    assert made["SubscriptionArn"] == "pending confirmation"


def test_an_unconfirmed_address_is_listed_as_pending(aws: Aws) -> None:
    topic = aws.topic()
    aws.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    assert [each["SubscriptionArn"] for each in emails(aws, topic)] == ["PendingConfirmation"]


def test_an_address_can_be_subscribed_for_its_arn(aws: Aws) -> None:
    topic = aws.topic()
    made = aws.client("sns").subscribe(
        TopicArn=topic, Protocol="email", Endpoint="a@example.com", ReturnSubscriptionArn=True
    )
    assert made["SubscriptionArn"].startswith(topic)


def test_a_subscription_may_have_a_dead_letter_queue(aws: Aws) -> None:
    sns, topic = aws.client("sns"), aws.topic()
    made = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=aws.queue().arn)
    policy = json.dumps({"deadLetterTargetArn": aws.queue().arn})
    sns.set_subscription_attributes(
        SubscriptionArn=made["SubscriptionArn"],
        AttributeName="RedrivePolicy",
        AttributeValue=policy,
    )
    found = sns.get_subscription_attributes(SubscriptionArn=made["SubscriptionArn"])
    assert found["Attributes"]["RedrivePolicy"] == policy


def test_a_filter_that_is_no_json_is_refused(aws: Aws) -> None:
    sns = aws.client("sns")
    made = sns.subscribe(TopicArn=aws.topic(), Protocol="sqs", Endpoint=aws.queue().arn)
    code = error_code(
        sns.set_subscription_attributes,
        SubscriptionArn=made["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue="{nope",
    )
    assert code == "InvalidParameter"


def test_messages_can_be_published_together(aws: Aws) -> None:
    topic = aws.topic()
    queue = subscribed(aws, topic, RawMessageDelivery="true")
    entries = [{"Id": "1", "Message": "a"}, {"Id": "2", "Message": "b"}]
    done = aws.client("sns").publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert len(done["Successful"]) == 2
    assert sorted(message["Body"] for message in aws.receive(queue, 2)) == ["a", "b"]


def test_a_topic_made_twice_is_the_same(aws: Aws) -> None:
    topic = aws.topic()
    name = topic.rpartition(":")[2]
    assert aws.client("sns").create_topic(Name=name)["TopicArn"] == topic


def test_a_topic_invokes_a_function(cloud: Aws, functions: Lambda, recorder: Recorder) -> None:
    topic = cloud.topic()
    functions.permit(recorder.function, "sns.amazonaws.com", SourceArn=topic)
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=recorder.function.arn)
    publish(cloud, topic, "hi", Subject="about")
    [kept] = until(lambda: recorder.events(topic.rpartition(":")[2]))
    [record] = kept["event"]["Records"]
    assert record["EventSource"] == "aws:sns"
    assert (record["Sns"]["Message"], record["Sns"]["Subject"]) == ("hi", "about")


def test_what_a_missing_function_cannot_get_goes_to_the_dead_letter_queue(cloud: Aws) -> None:
    topic, grave = cloud.topic(), cloud.queue()
    cloud.client("sns").subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=f"arn:aws:lambda:us-east-1:{cloud.account}:function:missing",
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": grave.arn})},
    )
    publish(cloud, topic, "lost?")
    [letter] = cloud.receive(grave)
    assert json.loads(letter["Body"])["Message"] == "lost?"


def test_a_function_that_does_not_let_the_topic_in_is_not_invoked(
    cloud: Aws, recorder: Recorder
) -> None:
    topic, grave = cloud.topic(), cloud.queue()
    cloud.client("sns").subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=recorder.function.arn,
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": grave.arn})},
    )
    publish(cloud, topic)
    cloud.receive(grave)
    assert recorder.events(topic.rpartition(":")[2]) == []


class Site(http.server.ThreadingHTTPServer):
    """A web site that remembers what was posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Listener)
        self.got: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/x"


class Listener(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.server.got.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        serving = threading.Thread(target=made.serve_forever)
        serving.start()
        yield made
        made.shutdown()
        serving.join()


def test_a_web_hook_is_asked_for_its_confirmation(cloud: Aws, site: Site) -> None:
    cloud.client("sns").subscribe(TopicArn=cloud.topic(), Protocol="http", Endpoint=site.url)
    [asked] = until(lambda: site.got)
    assert asked["Type"] == "SubscriptionConfirmation"


def test_a_confirmed_web_hook_gets_messages(cloud: Aws, site: Site) -> None:
    topic = cloud.topic()
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="http", Endpoint=site.url)
    [asked] = until(lambda: site.got)
    cloud.client("sns").confirm_subscription(TopicArn=topic, Token=asked["Token"])
    publish(cloud, topic, "posted")
    until(lambda: [each for each in site.got if each.get("Message") == "posted"])
