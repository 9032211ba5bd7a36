# SPDX-License-Identifier: Apache-2.0
"""What commands read: repositories, observed state, build stores and shared options."""
