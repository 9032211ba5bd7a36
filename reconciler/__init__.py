# SPDX-License-Identifier: Apache-2.0
"""tinyfleet: what is merged is what runs."""
