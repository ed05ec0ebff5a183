"""What each check is about, in words: the cause, how to see it by hand, and what mends it.

The sections of docs/doctor.md and `imgpipe doctor --explain` are made from it. In capitals stands what differs from
pipeline to pipeline. A test holds the commands against those that the checks give for faults which it builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """`mend` is the way of a pipeline of ours; `theirs` that of one that imgpipe didn't make, where it is another."""

    cause: str
    see: str
    mend: str
    theirs: str = ""


PAGES: Mapping[str, Page] = {
    "trigger-notification": Page(
        "The bucket has no notification for uploads, its target is gone, the rule of EventBridge is "
        "disabled, or (ours) the rules and subscriptions that `pipeline.yaml` declares are not in the "
        "live documents, because something overwrote them: S3 keeps the notification configuration as one"
        " document, and whoever writes it replaces it. `imgpipe up` puts our rules back and keeps those "
        "of others.",
        "aws s3api get-bucket-notification-configuration --bucket BUCKET",
        "imgpipe up",
        "aws s3api put-bucket-notification-configuration --bucket BUCKET --notification-configuration "
        "file://rules.json",
    ),
    "trigger-permission": Page(
        "S3, SNS or EventBridge publishes, and the policy of the topic, queue or function doesn't let it "
        "in for this source. S3 asks only when the rule is written; a policy that changes later fails in "
        "silence.",
        "aws lambda get-policy --function-name FUNCTION; for a queue or topic, its `Policy` attribute",
        "imgpipe up",
        "aws lambda add-permission --function-name FUNCTION --statement-id s3 --action "
        "lambda:InvokeFunction --principal s3.amazonaws.com --source-arn ARN --source-account ACCOUNT; or "
        "aws sqs set-queue-attributes --queue-url URL --attributes file://policy.json; or aws sns "
        "set-topic-attributes --topic-arn TOPIC --attribute-name Policy --attribute-value "
        "file://policy.json",
    ),
    "trigger-suffix": Page(
        "A filter on a suffix compares letter by letter: `.jpg` passes over `.JPG`, and says nothing of "
        "`.jpeg`. It is broken, not at risk, when objects lie there that no rule heard of.",
        "aws s3api get-bucket-notification-configuration --bucket BUCKET",
        "imgpipe up, with `uploads.suffixes` naming each format once",
        "aws s3api get-bucket-notification-configuration --bucket BUCKET, then write it with both "
        "spellings",
    ),
    "loop": Page(
        "A role may write where an upload starts the pipeline: one output, or a backfill that copies "
        "objects in place, and it runs in circles. Lambda stops such a chain after about 16 rounds, "
        "unless that is switched off.",
        "aws s3api get-bucket-notification-configuration --bucket BUCKET, beside what the role may write",
        "imgpipe up",
        "aws iam list-role-policies --role-name ROLE, then allow it the outputs' prefix alone",
    ),
    "stuck-mapping": Page(
        "Nothing takes a queue's messages: the mapping is disabled or gone, the function's reserved "
        "concurrency is 0, or no worker runs.",
        "aws lambda list-event-source-mappings --event-source-arn QUEUE",
        "imgpipe up",
        "aws lambda update-event-source-mapping --uuid UUID --enabled; or aws lambda "
        "create-event-source-mapping --function-name FUNCTION --event-source-arn QUEUE "
        "--function-response-types ReportBatchItemFailures; or aws lambda delete-function-concurrency "
        "--function-name FUNCTION",
    ),
    "stuck-permission": Page(
        "The function's role lacks `sqs:ReceiveMessage`, `DeleteMessage` or `GetQueueAttributes` on the "
        "queue that feeds it.",
        "aws lambda list-event-source-mappings --function-name FUNCTION, and its LastProcessingResult",
        "imgpipe up",
        "aws iam attach-role-policy --role-name ROLE --policy-arn "
        "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole",
    ),
    "stuck-visibility": Page(
        "The queue shows a message again while the function still works on it. Below the function's "
        "timeout it is broken; below six times the timeout (and the batching window), which is AWS's "
        "advice, at risk.",
        "aws sqs get-queue-attributes --queue-url URL --attribute-names VisibilityTimeout, beside the "
        "function's timeout",
        "imgpipe up",
        "aws sqs set-queue-attributes --queue-url URL --attributes VisibilityTimeout=SECONDS",
    ),
    "partial-failures": Page(
        "Without `ReportBatchItemFailures` on the mapping, a function that names the failed messages of a"
        " batch isn't heard: they are deleted with the rest.",
        "aws lambda list-event-source-mappings --function-name FUNCTION, and its FunctionResponseTypes",
        "imgpipe up",
        "aws lambda update-event-source-mapping --uuid UUID --function-response-types "
        "ReportBatchItemFailures",
    ),
    "concurrency": Page(
        "The mapping's maximum concurrency is above the function's reserved one: throttled calls count as"
        " receives, and healthy messages end as dead letters.",
        "aws lambda get-function-concurrency --function-name FUNCTION, beside the mapping's ScalingConfig",
        "imgpipe up",
        "aws lambda update-event-source-mapping --uuid UUID --scaling-config MaximumConcurrency=COUNT",
    ),
    "timeout": Page(
        "The function's log says that its time was over; or its longest call took more than 80 % of it. "
        "Only what was logged since the function was last changed counts, here and below, so a mended "
        "fault is silent at once.",
        "imgpipe logs STEP --errors; `Task timed out` in the function's log",
        "imgpipe up, with `timeout: …` for the step",
        "aws lambda update-function-configuration --function-name FUNCTION --timeout SECONDS",
    ),
    "out-of-memory": Page(
        "The log says that the function was killed for its memory, or a call used all of it; above 90 % "
        "it is at risk.",
        "imgpipe logs STEP --errors; `Max Memory Used` in the function's log",
        "imgpipe up, with `memory: …` for the step",
        "aws lambda update-function-configuration --function-name FUNCTION --memory-size MB",
    ),
    "denied": Page(
        "A function's log says that it was not authorized to do something, and its role still may not: a "
        "statement is missing, or another policy on the role denies it. What was mended since is silent.",
        "imgpipe logs STEP --errors",
        "aws iam list-role-policies --role-name ROLE, delete-role-policy what isn't `imgpipe`; imgpipe up",
        "aws iam list-role-policies --role-name ROLE, and allow what is refused",
    ),
    "swallowed-errors": Page(
        "The log has errors or tracebacks, and Lambda counted none: the code catches everything, and the "
        "queue or SNS thinks all is well. A function that reports partial failures is believed.",
        "imgpipe logs STEP --errors, beside the errors of `imgpipe status`",
        "imgpipe logs STEP --errors, then raise what is caught",
        "aws logs tail GROUP --since 1d --filter-pattern Traceback, then raise what is caught",
    ),
    "undecoded-keys": Page(
        "The log (`NoSuchKey`) or a row speaks of `a+b.jpg` or `%C3%A4.jpg`, and S3 has it under its "
        "decoded name alone: the code uses keys as events spell them.",
        "imgpipe why 'a+b.jpg', of a file whose name has a space",
        "mend the code: urllib.parse.unquote_plus(record['s3']['object']['key'])",
    ),
    "unfit-pictures": Page(
        "The log says `cannot write mode …`: the code fails on 16-bit, transparent or CMYK pictures.",
        "`cannot write mode` in the function's log",
        "mend the code: convert 16-bit and transparent pictures before saving them as JPEG",
    ),
    "orientation": Page(
        "An output lies as the sensor saw it although the upload's EXIF turns it. A few uploads are "
        "compared with the output of the same name, in the buckets that functions' environments name; "
        "this check and the next two.",
        "an output of a photograph taken upright lies on its side",
        "mend the code: ImageOps.exif_transpose(image) before anything else",
    ),
    "cmyk": Page(
        "An output is a CMYK file.",
        "an output's mode is CMYK, and browsers show it in wrong colours",
        "mend the code: convert through its profile to sRGB (ImageCms.profileToProfile)",
    ),
    "transparency": Page(
        "An output is black where its upload is transparent.",
        "an output of a picture with alpha is black around it",
        "mend the code: Image.alpha_composite over white before saving as JPEG",
    ),
    "table-missing": Page(
        "The table that the pipeline writes is gone.",
        "aws dynamodb describe-table --table-name TABLE",
        "imgpipe up",
        "aws dynamodb list-tables, then set the function's TABLE",
    ),
    "table-throttled": Page(
        "CloudWatch counts throttled requests of the table, or a function's log has "
        "`ProvisionedThroughputExceededException`.",
        "the table's `WriteThrottleEvents` in CloudWatch",
        "aws dynamodb update-table --table-name TABLE --billing-mode PAY_PER_REQUEST",
    ),
    "duplicate-rows": Page(
        "Among a few items several are about the same picture and version under random ids: each retry "
        "made up a new one.",
        "aws dynamodb scan --table-name TABLE --limit 50: several ids, one picture",
        "mend the code: make the id from bucket, key and version, and write under a condition",
    ),
    "index-range": Page(
        "A global secondary index has a hash key alone: it can't answer for a stretch of time.",
        "aws dynamodb describe-table --table-name TABLE, and its indexes' key schemas",
        "aws dynamodb update-table --table-name TABLE --global-secondary-index-updates file://index.json",
    ),
    "dead-letter-path": Page(
        "A queue without a redrive policy, a function that S3 or SNS calls without an on-failure "
        "destination, a subscription without one, or a dead-letter queue that is gone.",
        "aws sqs get-queue-attributes --queue-url URL --attribute-names RedrivePolicy; aws lambda "
        "get-function-event-invoke-config --function-name FUNCTION",
        "imgpipe up",
        "aws sqs set-queue-attributes --queue-url URL --attributes file://redrive.json; or aws lambda "
        "put-function-event-invoke-config --function-name FUNCTION --destination-config "
        "file://on-failure.json; or aws sns set-subscription-attributes --subscription-arn ARN "
        "--attribute-name RedrivePolicy --attribute-value file://redrive-policy.json",
    ),
    "dead-letters": Page(
        "Messages lie in a dead-letter queue. They are counted, not received. Uploads that were refused "
        "(`rejected`) are no fault of the pipeline.",
        "imgpipe dlq list",
        "imgpipe dlq groups, then mend and imgpipe dlq redrive --canary",
        "aws sqs receive-message --queue-url URL, to see them",
    ),
    "expiring-letters": Page(
        "Less than two days are left before a letter is dropped, by the age of the oldest one in "
        "CloudWatch. `imgpipe dlq rescue` archives what would expire.",
        "imgpipe dlq groups, `kept for`",
        "imgpipe dlq rescue",
        "aws sqs start-message-move-task --source-arn ARN",
    ),
    "dlq-retention": Page(
        "The dead-letter queue keeps letters no longer than its source keeps messages; a letter's time "
        "runs from when it was first sent.",
        "aws sqs get-queue-attributes --queue-url URL --attribute-names MessageRetentionPeriod",
        "imgpipe up",
        "aws sqs set-queue-attributes --queue-url URL --attributes MessageRetentionPeriod=1209600",
    ),
    "unconfirmed-mail": Page(
        "The link in the mail of `AWS Notifications` was not followed: the address hears nothing. AWS "
        "forgets the request after some days.",
        "imgpipe status, `not yet confirmed`",
        "imgpipe local mail confirm ADDRESS, on the embedded cloud",
        "aws sns subscribe --topic-arn TOPIC --protocol email --notification-endpoint ADDRESS, which asks"
        " again",
    ),
    "raw-mail": Page(
        "Somebody's address subscribes to the topic that S3 itself publishes to: they are sent JSON, a "
        "mail an upload.",
        "aws sns list-subscriptions-by-topic --topic-arn TOPIC",
        "aws sns unsubscribe --subscription-arn ARN, and publish words to a topic for people",
    ),
    "alarm-actions": Page(
        "An alarm has no action, its actions are switched off, its topic is gone, or the topic's policy "
        "doesn't let CloudWatch publish.",
        "aws cloudwatch describe-alarms --alarm-names ALARM",
        "imgpipe up",
        "aws cloudwatch describe-alarms --alarm-names ALARM, then put-metric-alarm with --alarm-actions TOPIC; "
        "or aws sns set-topic-attributes --topic-arn TOPIC --attribute-name Policy --attribute-value "
        "file://policy.json",
    ),
    "alarm-nobody": Page(
        "The topic of the alarms has no subscriber.",
        "aws sns list-subscriptions-by-topic --topic-arn TOPIC",
        "imgpipe up, with an address under `notify.failed.email`",
        "aws sns subscribe --topic-arn TOPIC --protocol email --notification-endpoint ADDRESS",
    ),
    "dlq-alarm": Page(
        "No alarm watches a dead-letter queue.",
        "aws cloudwatch describe-alarms-for-metric --namespace AWS/SQS --metric-name "
        "ApproximateNumberOfMessagesVisible --dimensions Name=QueueName,Value=QUEUE",
        "imgpipe up",
        "aws cloudwatch put-metric-alarm --alarm-name NAME --namespace AWS/SQS --metric-name "
        "ApproximateNumberOfMessagesVisible",
    ),
    "dashboard-dimensions": Page(
        "A dashboard draws a metric without naming a queue, function, topic or table: that metric doesn't"
        " exist, and the graph stays empty.",
        "the graph is empty; aws cloudwatch get-dashboard --dashboard-name NAME",
        "imgpipe up",
        "aws cloudwatch get-dashboard --dashboard-name NAME, then name a queue, function, topic or table "
        "in it",
    ),
    "silent-log": Page(
        "The role may not write the function's log.",
        "aws logs describe-log-streams --log-group-name GROUP: none is new",
        "imgpipe up",
        "aws iam attach-role-policy --role-name ROLE --policy-arn "
        "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    ),
    "old-runtime": Page(
        "Lambda no longer mends the runtime, or stops within 180 days.",
        "aws lambda get-function-configuration --function-name FUNCTION, and its Runtime",
        "imgpipe up",
        "aws lambda update-function-configuration --function-name FUNCTION --runtime python3.13",
    ),
    "open-policy": Page(
        "A queue or topic lets in every principal without a condition.",
        "aws sqs get-queue-attributes --queue-url URL --attribute-names Policy: a principal `*`, no "
        "condition",
        "imgpipe up",
        "aws sqs get-queue-attributes --queue-url URL --attribute-names Policy, then add a condition on "
        "aws:SourceArn",
    ),
    "wide-rights": Page(
        "A function's role may do all of a service (`s3:*`, or `*`) to everything. Functions decode what strangers "
        "send: who gets past a decoder has these rights.",
        "aws iam list-attached-role-policies --role-name ROLE, aws iam list-role-policies --role-name ROLE",
        "aws iam delete-role-policy --role-name ROLE --policy-name NAME, or aws iam detach-role-policy --role-name "
        "ROLE --policy-arn ARN; `imgpipe up` gives each role what its function calls, and leaves what others added",
        "aws iam detach-role-policy --role-name ROLE --policy-arn ARN, and a policy of the calls that the code makes",
    ),
    "source-account": Page(
        "The permission for S3 names the bucket and not its account: bucket names are free to take after "
        "a deletion.",
        "aws lambda get-policy --function-name FUNCTION: no aws:SourceAccount",
        "imgpipe up",
        "aws lambda remove-permission --function-name FUNCTION --statement-id SID, and add it with "
        "--source-account",
    ),
    "existing-bucket": Page(
        "`uploads: {bucket: …}` names a bucket that keeps no versions, lets the public in, is encrypted with a key "
        "that the functions may not use, or lets in no page that would upload to it. imgpipe changes none of that.",
        "imgpipe plan",
        "the command that the finding names, such as aws s3api put-bucket-versioning",
    ),
    "drift": Page(
        "What is there differs from `pipeline.yaml`: changed by hand, deleted, left over, or not put up "
        "yet. Ours only.",
        "imgpipe plan",
        "imgpipe plan, then imgpipe up",
    ),
    "log-retention": Page(
        "A log group is kept for ever.",
        "aws logs describe-log-groups: no retentionInDays",
        "imgpipe up",
        "aws logs put-retention-policy --log-group-name GROUP --retention-in-days 30",
    ),
    "unfinished-uploads": Page(
        "No lifecycle rule removes the parts of uploads that were never finished.",
        "aws s3api list-multipart-uploads --bucket BUCKET",
        "imgpipe up",
        "aws s3api put-bucket-lifecycle-configuration --bucket BUCKET --lifecycle-configuration "
        "file://lifecycle.json",
    ),
    "noncurrent-versions": Page(
        "The bucket is versioned, and replaced versions are kept for ever; a bucket that holds one can't "
        "be deleted.",
        "aws s3api list-object-versions --bucket BUCKET",
        "imgpipe up",
        "aws s3api put-bucket-lifecycle-configuration --bucket BUCKET --lifecycle-configuration "
        "file://lifecycle.json",
    ),
    "spare-memory": Page(
        "The function has more than 1,769 MB, which is one core, and more than twice what it ever used, "
        "over 20 calls or more. Below that size memory buys speed, and is not a cost.",
        "imgpipe logs STEP, `Max Memory Used`",
        "imgpipe up, with `memory: …` for the step",
        "aws lambda update-function-configuration --function-name FUNCTION --memory-size MB",
    ),
    "mail-cost": Page(
        "A topic with addresses sent more than 1,000 notices in a day.",
        "the topic's `NumberOfNotificationsDelivered` in CloudWatch",
        "imgpipe up, with `digest:` under `notify`",
        "aws sns list-subscriptions-by-topic --topic-arn TOPIC, then unsubscribe whom it doesn't help",
    ),
}
