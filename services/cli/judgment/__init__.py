"""`vitrina eval`: how good the answers are, by judged queries.

The libraries that measure, test and draw are the extra `eval`. They are
imported where they are used, so that the other commands start without them.
"""
