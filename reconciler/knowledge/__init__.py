# SPDX-License-Identifier: Apache-2.0
"""The knowledge base of a gateway: the samples of its devices, the votes on them, and labels, in SQLite.

It is private: the file belongs to the gateway's user alone, and nothing of it ever goes into Git (docs/samples.md).
"""
