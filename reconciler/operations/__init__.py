# SPDX-License-Identifier: Apache-2.0
"""Operations: what nodes can do, and which node gets a request (docs/specs/operations.md). Pure."""
