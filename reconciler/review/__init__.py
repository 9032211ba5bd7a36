# SPDX-License-Identifier: Apache-2.0
"""Review a change, follow a rollout, explain a device. Pure; docs/review.md describes it."""
