"""What Ethereum and ERC-4337 say, as pure functions: no I/O, no clock, no randomness.

Addresses and hashes are raw bytes. Whatever cannot be read raises `EncodingInvalid` with the values compared.
"""
