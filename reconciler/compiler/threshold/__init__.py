# SPDX-License-Identifier: Apache-2.0
"""From a threshold model in JSON to its pack."""
