"""What travels between game clients and the gateway: typed frames, one connection's state, logins. No input or output.

`README.md` beside this file is the protocol's page; the transcripts in `tests/golden/protocol` are played by the tests.
"""
