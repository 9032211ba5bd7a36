# SPDX-License-Identifier: Apache-2.0
"""What a change would do, how far a rollout is, and why a device is as it is; pure. docs/review.md is its page."""
