# SPDX-License-Identifier: Apache-2.0
"""The observed state: what devices and other gateways reported, verified and interpreted."""
