"""Models and what answers for them: classes, repositories, the registry, transactions and managers."""
