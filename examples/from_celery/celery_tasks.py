"""Before: mails and a receipt, as Celery tasks."""

from celery import Celery

app = Celery("mails", broker="sqs://")
app.conf.task_default_queue = "mails"


@app.task(bind=True, acks_late=True, max_retries=4, default_retry_delay=1)
def send_mail(self, address: str, text: str) -> None:
    """Send a mail, trying again a second later."""
    try:
        deliver(address, text, self.request.retries)
    except ConnectionError as error:
        raise self.retry(exc=error) from error


def deliver(address: str, text: str, tries_before: int) -> None:
    """The mail server is away at the first try."""
    if tries_before == 0:
        raise ConnectionError("no mail server")
    print(f"{address}: {text}", flush=True)


# send_mail.delay("ada@example.org", "Hello")
# send_mail.apply_async(("grace@example.org", "Later"), countdown=1)
