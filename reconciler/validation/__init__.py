# SPDX-License-Identifier: Apache-2.0
"""Mistakes in files that people write, in the words of their authors: where, what, and how to fix it."""
