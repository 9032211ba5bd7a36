# SPDX-License-Identifier: Apache-2.0
"""This gateway as a node: what it offers follows Git, and its clients ask through the broker."""
