# SPDX-License-Identifier: Apache-2.0
"""One rollout as a whole: its waves, its progress, and what holds its devices."""
