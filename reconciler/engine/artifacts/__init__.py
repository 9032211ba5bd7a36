# SPDX-License-Identifier: Apache-2.0
"""Artifacts that a plan needs: which exist, and building those that do not."""
