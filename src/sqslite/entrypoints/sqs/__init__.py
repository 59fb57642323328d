"""The SQS wire protocol: AWS's own words over the use cases of the domain."""
