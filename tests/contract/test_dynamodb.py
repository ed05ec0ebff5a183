"""The table: conditions, indexes, expressions, streams."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.aws import Aws, Lambda, Recorder, error_code, unique, until

KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}
NEW_ONLY = "attribute_not_exists(pk)"


def make_table(aws: Aws, **settings: Any) -> str:
    name = unique("table")
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": field, "AttributeType": "S"} for field in ("pk", "sk", "status")
        ],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-status",
                "KeySchema": [
                    {"AttributeName": "status", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        **settings,
    )
    return name


@pytest.fixture
def table(aws: Aws) -> str:
    return make_table(aws)


def put(aws: Aws, table: str, item: dict[str, Any], **settings: Any) -> None:
    aws.client("dynamodb").put_item(TableName=table, Item=item, **settings)


def get(aws: Aws, table: str, key: dict[str, Any]) -> dict[str, Any] | None:
    answer = aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
    item: dict[str, Any] | None = answer.get("Item")
    return item


def test_a_condition_lets_only_the_first_writer_in(aws: Aws, table: str) -> None:
    put(aws, table, KEY, ConditionExpression=NEW_ONLY)
    code = error_code(
        aws.client("dynamodb").put_item, TableName=table, Item=KEY, ConditionExpression=NEW_ONLY
    )
    assert code == "ConditionalCheckFailedException"


def test_a_failed_condition_shows_the_item_that_was_there(aws: Aws, table: str) -> None:
    put(aws, table, {**KEY, "v": {"N": "1"}})
    with pytest.raises(ClientError) as failed:
        put(
            aws,
            table,
            KEY,
            ConditionExpression=NEW_ONLY,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert failed.value.response["Item"]["v"] == {"N": "1"}


def test_an_index_is_read_in_order_and_in_pages(aws: Aws, table: str) -> None:
    for number in range(12):
        status = {"S": "failed" if number % 3 == 0 else "done"}
        put(aws, table, {"pk": {"S": "p"}, "sk": {"S": f"{number:03}"}, "status": status})
    page = aws.client("dynamodb").query(
        TableName=table,
        IndexName="by-status",
        KeyConditionExpression="#s = :s AND begins_with(sk, :p)",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "failed"}, ":p": {"S": "0"}},
        ScanIndexForward=False,
        Limit=3,
    )
    assert [item["sk"]["S"] for item in page["Items"]] == ["009", "006", "003"]
    assert page["LastEvaluatedKey"]["sk"] == {"S": "003"}


def test_an_update_adds_defaults_and_appends(aws: Aws, table: str) -> None:
    put(aws, table, {**KEY, "v": {"N": "1"}})
    updated = aws.client("dynamodb").update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression=(
            "ADD v :five SET #n = if_not_exists(#n, :z), l = list_append(if_not_exists(l, :e), :i)"
        ),
        ExpressionAttributeNames={"#n": "name"},
        ExpressionAttributeValues={
            ":five": {"N": "5"},
            ":z": {"S": "z"},
            ":e": {"L": []},
            ":i": {"L": [{"S": "q"}]},
        },
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert (updated["v"], updated["name"]) == ({"N": "6"}, {"S": "z"})
    assert updated["l"] == {"L": [{"S": "q"}]}


def test_a_transaction_fails_as_a_whole(aws: Aws, table: str) -> None:
    put(aws, table, KEY)
    other = {"pk": {"S": "b"}, "sk": {"S": "1"}}
    code = error_code(
        aws.client("dynamodb").transact_write_items,
        TransactItems=[
            {"Put": {"TableName": table, "Item": other}},
            {"Put": {"TableName": table, "Item": KEY, "ConditionExpression": NEW_ONLY}},
        ],
    )
    assert code == "TransactionCanceledException"
    assert get(aws, table, other) is None


def let_expire(aws: Aws, table: str) -> None:
    aws.client("dynamodb").update_time_to_live(
        TableName=table,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
    )


def test_expiry_can_be_switched_on(aws: Aws, table: str) -> None:
    let_expire(aws, table)
    found = aws.client("dynamodb").describe_time_to_live(TableName=table)
    assert found["TimeToLiveDescription"]["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}


def test_recovery_can_be_switched_on(aws: Aws, table: str) -> None:
    dynamodb = aws.client("dynamodb")
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    found = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_no_addition_is_lost_between_parallel_writers(cloud: Aws) -> None:
    """moto in a test's own process takes no lock: there one in a hundred is lost, now and then."""
    table = make_table(cloud)

    def add(_: int) -> None:
        cloud.client("dynamodb").update_item(
            TableName=table,
            Key=KEY,
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(100)))
    assert (get(cloud, table, KEY) or {})["n"] == {"N": "100"}


def test_a_stream_feeds_a_function(cloud: Aws, functions: Lambda, recorder: Recorder) -> None:
    table = make_table(
        cloud, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    )
    found = cloud.client("dynamodb").describe_table(TableName=table)["Table"]
    stream = found["LatestStreamArn"]
    mapping = functions.client.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName=recorder.function.name,
        StartingPosition="TRIM_HORIZON",
    )["UUID"]
    functions.mapping_is(mapping, "Enabled")
    put(cloud, table, KEY)
    source = stream.split(":")[-1].replace("/", "-")
    [kept] = until(lambda: recorder.events(source))
    assert kept["event"]["Records"][0]["dynamodb"]["Keys"] == KEY
