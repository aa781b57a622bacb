"""The notifier: the only part that writes texts for people and sends them, in a process of its own.

Owns the templates, the mail and the channels of apprise. Promises: a letter that is sent twice carries the same id, and nothing that
stands in a message becomes a header, a recipient, a link, a mention or a template. Never: a decision about who hears of what and when
(the daemon decides), a secret in a log or an answer, a change on the disk.
"""
