"""DynamoDB's expressions: parsed once per text, and bound to the names and values of each request."""
