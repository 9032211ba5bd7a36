# SPDX-License-Identifier: Apache-2.0
"""Models that vote on samples, in a caged process of their own."""
