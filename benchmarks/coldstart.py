"""The cost of a cold start of a Lambda function: a new process that imports, connects, and answers its first event.

Run with ``python -m benchmarks.coldstart``, after ``make engines``; the function uses an engine on this machine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from tests.support.engines import Engines

STARTS = 21

FUNCTION = """
import time
begun, before = time.perf_counter(), time.process_time()
{library}
loaded = time.perf_counter()
{connecting}
connected = time.perf_counter()
handler({{"pathParameters": {{"order_id": "o1"}}}}, None)
first, used = time.perf_counter(), time.process_time()
handler({{"pathParameters": {{"order_id": "o1"}}}}, None)
second = time.perf_counter()
import json, sys
steps = (begun, loaded, connected, first, second)
print(json.dumps([1000 * (later - sooner) for sooner, later in zip(steps, steps[1:])] + [1000 * (used - before)]))
"""

DYNAMO_BAO = {
    "library": "from dynamo_bao import Model, PrimaryKey, batched, init_models",
    "connecting": """
class Order(Model, prefix="or"):
    order_id: str
    state: str = "placed"
    primary_key = PrimaryKey("order_id")

init_models(models=[Order], table_name="orders")

@batched
def handler(event, context):
    return Order.find_or_raise(event["pathParameters"]["order_id"]).state
""",
}

BOTO3 = {
    "library": "import boto3",
    "connecting": """
client = boto3.client("dynamodb")

def handler(event, context):
    key = {"_pk": {"S": "or#" + event["pathParameters"]["order_id"]}, "_sk": {"S": "or"}}
    return client.get_item(TableName="orders", Key=key)["Item"]["state"]["S"]
""",
}


def environment(url: str) -> dict[str, str]:
    """The variables that Lambda sets for a function, with the engine as DynamoDB."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **variables,
        "AWS_ACCESS_KEY_ID": "dummy",
        "AWS_SECRET_ACCESS_KEY": "dummy",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_DYNAMODB": url,
    }


def cold_start(function: dict[str, str], url: str) -> list[float]:
    """Milliseconds of one cold start: import, connecting, first event, second event; and CPU until the first ends."""
    code = FUNCTION.format(**function)
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment(url), capture_output=True, text=True, check=True
    )
    milliseconds: list[float] = json.loads(process.stdout)
    return milliseconds


def main() -> None:
    """Prints the medians; the two functions take turns."""
    engines = Engines()
    try:
        url = str(engines.get("dynoxide").endpoint_url)
        prepare(url)
        times: dict[str, list[list[float]]] = {"dynamo_bao": [], "boto3": []}
        for _ in range(STARTS):
            times["dynamo_bao"].append(cold_start(DYNAMO_BAO, url))
            times["boto3"].append(cold_start(BOTO3, url))
    finally:
        engines.stop()
    print(
        f"milliseconds, medians of {STARTS}  import  connecting  first event  in all  CPU of it  second event"
    )
    for name, rows in times.items():
        columns = (statistics.median(column) for column in zip(*rows, strict=True))
        importing, connecting, first_event, second_event, cpu = columns
        total = statistics.median(sum(row[:3]) for row in rows)
        print(
            f"{name:<29}  {importing:6.1f}  {connecting:10.1f}  {first_event:11.1f}  "
            f"{total:6.1f}  {cpu:9.1f}  {second_event:12.2f}"
        )


def prepare(url: str) -> None:
    """Makes the table and the order."""
    code = f"""
{DYNAMO_BAO["library"]}
{DYNAMO_BAO["connecting"]}
init_models(models=[Order], table_name="orders").create_table()
Order.create(order_id="o1")
"""
    subprocess.run([sys.executable, "-c", code], env=environment(url), check=True)


if __name__ == "__main__":
    main()
