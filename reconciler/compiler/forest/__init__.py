# SPDX-License-Identifier: Apache-2.0
"""From training data, or from trees in JSON, to the pack of a tree ensemble."""
