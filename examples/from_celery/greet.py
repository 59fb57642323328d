"""Sends two mails: one now and one in a second."""

from tasks import Mail, send_mail

send_mail.send(Mail("ada@example.org", "Hello"))
send_mail.send(Mail("grace@example.org", "Later"), delay=1)
