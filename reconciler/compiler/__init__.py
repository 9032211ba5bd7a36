# SPDX-License-Identifier: Apache-2.0
"""Compiles a model's source into the pack that one device type runs."""
