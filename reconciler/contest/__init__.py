# SPDX-License-Identifier: Apache-2.0
"""Evaluates a contest: votes, ranks, rates and the decision. Pure: rows in, a decision out (docs/contests.md)."""
