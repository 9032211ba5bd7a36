# SPDX-License-Identifier: Apache-2.0
"""Cuts a network into stages, which several devices run one after the other (docs/pipelines.md)."""
