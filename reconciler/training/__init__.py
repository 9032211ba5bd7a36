# SPDX-License-Identifier: Apache-2.0
"""What a training is made of: its windows, its trials, its objective, and when it runs. Pure (docs/training.md)."""
