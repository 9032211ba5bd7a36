# SPDX-License-Identifier: Apache-2.0
"""Forests that devices have grown: which of them are proposed as models for all."""
