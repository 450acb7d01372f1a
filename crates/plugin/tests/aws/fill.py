"""Fills moto's S3 and SQS as CloudTrail would, or says how many messages are left.

    fill.py ENDPOINT fill FILE.json.gz MESSAGES KEY...
    fill.py ENDPOINT left
"""

import json
import sys

import boto3


def main(endpoint, action, *rest):
    names = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    names |= {"aws_access_key_id": "KEY", "aws_secret_access_key": "SECRET"}
    s3, sqs = boto3.client("s3", **names), boto3.client("sqs", **names)
    if action == "left":
        url = sqs.get_queue_url(QueueName="trail")["QueueUrl"]
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        waiting = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        print(sum(int(told[name]) for name in waiting))
        return
    packed, messages, *keys = rest
    s3.create_bucket(Bucket="logs")
    url = sqs.create_queue(QueueName="trail")["QueueUrl"]
    with open(packed, "rb") as file:
        body = file.read()
    for key in keys:
        s3.put_object(Bucket="logs", Key=key, Body=body)
    for key in keys[: int(messages)]:
        message = json.dumps({"s3Bucket": "logs", "s3ObjectKey": [key]})
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Type": "Notification", "Message": message}))


main(*sys.argv[1:])
