# SPDX-License-Identifier: Apache-2.0
"""What commands read: repositories, observed state, payload sizes and shared options."""
