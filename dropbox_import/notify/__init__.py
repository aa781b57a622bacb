"""What people are to be told: messages, letters, the outbox in which they lie, who hears what and when. Sending is done in notifier/.

Owns: the outbox folder of an instance in each box, and the one in the state folder.
Promises after a crash: a message is on the disk before its drop is filed, and a letter before it is sent; no message is lost, and
only what was just being sent may come twice, recognisable as the same.
Never: speaks to a mail server or a chat; asks OMERO; reads what people dropped.
"""
