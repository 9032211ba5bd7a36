# SPDX-License-Identifier: Apache-2.0
"""Proposals of contests and trainings: what a commit changes and says, and when it is made, looked at and withdrawn."""
