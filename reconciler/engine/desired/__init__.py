# SPDX-License-Identifier: Apache-2.0
"""The desired state: the last commit that is both trusted and valid, and the part of it that this gateway serves."""
