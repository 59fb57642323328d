"""sqslite: a message queue with the semantics of AWS SQS on storage you already own."""
