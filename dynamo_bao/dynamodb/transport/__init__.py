"""How requests reach DynamoDB: a one-method protocol, and its implementation over boto3.

Only `botocore` imports botocore, and only when the first request is made.
"""
