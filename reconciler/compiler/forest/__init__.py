# SPDX-License-Identifier: Apache-2.0
"""Training tree ensembles and turning them into packs."""
