"""Messages to people: written into the claim's outbox before filing, sent (a later release) after it.

Promises after a crash: a message is written under a name made of drop and event, so writing it again changes nothing.
"""
