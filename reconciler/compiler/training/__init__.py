# SPDX-License-Identifier: Apache-2.0
"""Trains the models of a training: trials run in caged processes, and what they made is kept in a folder."""
