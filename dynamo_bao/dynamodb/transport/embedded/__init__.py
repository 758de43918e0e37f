"""An engine inside this process: tables in memory, for one client only. It answers as DynamoDB does.

Tables, their indexes, tags and backups are moto's (`tables`). Requests for items are answered here: a request is
checked against the service model (`request_checks`), its expressions are parsed once per text (`expressions`), and its
operation (`items`, `queries`, `batches`, `transactions`) reads and writes the table's items (`store`).
"""
